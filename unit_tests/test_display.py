"""The display of progress: log lines, and the live display on a terminal."""

import fcntl
import io
import logging
import os
import pty
import re
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from source_incident.api import Client
from source_incident.display import live, log_lines, no_display, restore_terminal
from source_incident.sync import Expected, Finished, Records, Started
from source_incident.sync.stats import SyncStats

LIMITS = {"X-RateLimit-Limit": "1200, 1200;window=1e9", "X-RateLimit-Remaining": "1100"}


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(endpoint="http://127.0.0.1:1", api_key="inc_1234567890", user_agent="tap/1")
    yield client
    client.close()


@pytest.fixture
def log() -> Iterator[Callable[[], list[str]]]:
    """Return the lines that the logger `progress-test` has written."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("progress-test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: text.getvalue().splitlines()
    logger.removeHandler(handler)


def some_stats(client: Client, selected: int = 6) -> SyncStats:
    """Stats of two active streams, one of them with a total, and a finished one."""
    stats = SyncStats(client, selected)
    stats.add(Expected("incidents", 5000))
    stats.add(Records("incidents", [{}] * 1250))
    stats.add(Records("alerts", [{}] * 50))
    stats.add(Records("users", [{}]))
    stats.add(Finished("users"))
    return stats


def test_no_display_shows_nothing(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    with no_display(some_stats(client)):
        pass
    assert capfd.readouterr() == ("", "")


def test_logs_lines_for_active_streams_only(client: Client, log: Callable[[], list[str]]) -> None:
    stats = some_stats(client)
    with log_lines(stats, logging.getLogger("progress-test"), seconds=0.05):
        wait_for(lambda: len(log()) >= 4)
    count = len(log())
    assert {line.split(" records, ")[0] for line in log()} == {"incidents: 1,250 of 5,000", "alerts: 50"}
    assert all(line.endswith(" per second") for line in log())
    time.sleep(0.2)
    assert len(log()) == count, "logging ends with the context"


def test_logs_nothing_in_a_short_sync(client: Client, log: Callable[[], list[str]]) -> None:
    stats = some_stats(client)
    with log_lines(stats, logging.getLogger("progress-test")):
        time.sleep(0.2)
    assert log() == []


def test_stops_logging_silently_if_the_log_is_closed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    records = []

    class Closed(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)
            raise BrokenPipeError

    raised: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    stats = some_stats(client)
    logger = logging.getLogger("progress-closed")
    logger.setLevel(logging.INFO)
    logger.addHandler(Closed())
    with log_lines(stats, logger, seconds=0.02):
        wait_for(lambda: bool(records))
        time.sleep(0.2)
    assert len(records) == 1
    assert raised == []


@pytest.mark.parametrize("keep_totals", [True, False])
def test_shows_totals_and_active_streams_on_the_last_lines_of_the_terminal(
    client: Client, monkeypatch: pytest.MonkeyPatch, keep_totals: bool
) -> None:
    stats = some_stats(client, selected=60)
    client.rate_limiter.answered("/v2/users", LIMITS)
    for number in range(40):
        stats.add(Started(f"one_of_many_{number}"))
    terminal = Terminal(monkeypatch, lines=24)
    with live(stats, keep_totals=keep_totals):
        print("a line of the log", file=sys.stderr)
        wait_for(lambda: "more" in terminal.shown)
    shown = terminal.end()
    assert "a line of the log\r\n" in shown
    drawn, _, end = shown.partition("\x1b8")[2].partition("\x1b8")
    assert "\x1b[1;16r" in shown, "the last 8 of 24 lines do not scroll"
    lines = re.sub(r"\x1b\[[\d;]*m", "", drawn).split("\x1b[2K")[1:]
    assert len(lines) == 8
    assert lines[0].rstrip() == "1 of 60 streams finished; 1,301 records"
    assert "; 1,100 left of the rate limit" in lines[1]
    assert lines[2].split()[:4] == ["incidents", "1,250", "of", "5,000"]
    assert lines[-1].rstrip() == "and 37 more", "streams without a line are counted"
    _, restored, after = end.rpartition("\x1b7\x1b[r\x1b[17;1H\x1b[J\x1b8")
    assert restored
    assert after.startswith("1 of 60 streams finished") == keep_totals


def test_adapts_to_a_new_size_of_the_terminal(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, lines=24)
    with live(SyncStats(client, 1), keep_totals=False):
        wait_for(lambda: "\x1b[1;16r" in terminal.shown)
        terminal.resize(60)
        wait_for(lambda: "\x1b[1;48r" in terminal.shown)
    assert "\x1b[r\x1b[49;1H\x1b[J" in terminal.end()


@pytest.mark.parametrize("lines", [0, 8])
def test_draws_nothing_on_a_very_small_terminal(client: Client, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    terminal = Terminal(monkeypatch, lines=lines)
    with live(SyncStats(client, 1), keep_totals=False):
        time.sleep(0.6)
    assert terminal.end() == ""


def test_restores_the_terminal_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, lines=24)
    with live(SyncStats(client, 1), keep_totals=False):
        wait_for(lambda: "1 stream" in terminal.shown)
        restore_terminal()
        wait_for(lambda: "\x1b[r" in terminal.shown)
    assert terminal.end().count("\x1b[r") == 1


class Terminal:
    """A pseudo-terminal as stderr.

    Attributes:
        shown: all that was written to it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
        self._master, slave = pty.openpty()
        self.resize(lines)
        self.stderr = os.fdopen(slave, "w", buffering=1)
        monkeypatch.setenv("TERM", "xterm")
        for name in ("COLUMNS", "LINES"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("sys.stderr", self.stderr)
        self.shown = ""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def resize(self, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 100, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._master, 65536)
            except OSError:
                return
            self.shown += read.decode()

    def end(self) -> str:
        self.stderr.close()
        self._thread.join(5)
        os.close(self._master)
        return self.shown


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)
