"""How far a sync is: what is counted, and where and how often it is shown."""

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
from source_incident.display import SyncStats, give_back_terminal, live, log_lines
from source_incident.sync import Checkpoint, Expected, Failed, Finished, LeftOut, Records, Started

LIMITS = {"X-RateLimit-Limit": "1200, 1200;window=1e9", "X-RateLimit-Remaining": "1100"}


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client(endpoint="http://127.0.0.1:1", api_key="inc_1234567890", user_agent="tap/1")
    yield made
    made.close()


@pytest.fixture
def log() -> Iterator[Callable[[], list[str]]]:
    """The lines logged so far by the logger `progress-test`."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("progress-test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: text.getvalue().splitlines()
    logger.removeHandler(handler)


def some(stats: SyncStats) -> None:
    """Two streams under way, one of them with a total; one of each outcome."""
    for name in ("incidents", "alerts", "users", "teams", "workflows"):
        stats.take(Started(name))
    stats.take(Expected("incidents", 4000))
    stats.take(Expected("incidents", 1000))
    stats.take(Records("incidents", [{}] * 1250))
    stats.take(Records("alerts", [{}] * 50))
    stats.take(Checkpoint("alerts", {}))
    stats.take(Records("users", [{}]))
    stats.take(Finished("users"))
    stats.take(Failed("teams", ValueError()))
    stats.take(LeftOut("workflows", "no scope"))


def test_the_summary_has_streams_records_requests_retries_waits_and_the_duration(client: Client) -> None:
    stats = SyncStats(client, 6)
    some(stats)
    client.requests, client.retries = 1234, 1
    assert stats.summary() == (
        "1 of 6 streams finished, 1 failed, 1 left out; 1,301 records; 1,234 requests, 1 retry, 0.0 s waited; "
        "0.0 s in all"
    )


def test_a_stream_is_under_way_until_it_has_an_outcome_and_its_totals_add_up(client: Client) -> None:
    stats = SyncStats(client, 6)
    some(stats)
    assert {name: stream.count for name, stream in stats.under_way()} == {
        "incidents": "1,250 of 5,000",
        "alerts": "50",
    }


def test_the_rate_limit_is_told_once_the_api_said_it(client: Client) -> None:
    stats = SyncStats(client, 1)
    assert stats.limit() == ""
    client.pace.answered("/v2/users", LIMITS)
    assert stats.limit() == "; 1,100 left of the rate limit"


def test_the_log_has_a_line_for_each_stream_under_way_every_so_often(
    client: Client, log: Callable[[], list[str]]
) -> None:
    stats = SyncStats(client, 6)
    some(stats)
    with log_lines(stats, logging.getLogger("progress-test"), seconds=0.05):
        wait_for(lambda: len(log()) >= 4)
    told = len(log())
    assert {line.split(" records, ")[0] for line in log()} == {"incidents: 1,250 of 5,000", "alerts: 50"}
    assert all(line.endswith(" a second") for line in log())
    time.sleep(0.2)
    assert len(log()) == told, "it ends with the sync"


def test_before_its_time_no_line_is_logged(client: Client, log: Callable[[], list[str]]) -> None:
    stats = SyncStats(client, 6)
    some(stats)
    with log_lines(stats, logging.getLogger("progress-test")):
        time.sleep(0.2)
    assert log() == []


def test_a_log_that_nobody_reads_any_more_ends_the_lines_without_a_word(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Gone(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            asked.append(record)
            raise BrokenPipeError

    raised: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    stats = SyncStats(client, 6)
    some(stats)
    logger = logging.getLogger("progress-gone")
    logger.setLevel(logging.INFO)
    logger.addHandler(Gone())
    with log_lines(stats, logger, seconds=0.02):
        wait_for(lambda: bool(asked))
        time.sleep(0.2)
    assert len(asked) == 1
    assert raised == []


@pytest.mark.parametrize("stays", [True, False])
def test_a_terminal_shows_the_totals_and_the_streams_under_way_on_its_last_lines(
    client: Client, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    stats = SyncStats(client, 60)
    client.pace.answered("/v2/users", LIMITS)
    some(stats)
    for number in range(40):
        stats.take(Started(f"one_of_many_{number}"))
    terminal = Terminal(monkeypatch, lines=24)
    with live(stats, stays=stays):
        print("a line of the log", file=sys.stderr)
        wait_for(lambda: "more" in terminal.shown)
    shown = terminal.end()
    assert "a line of the log\r\n" in shown
    drawn, _, end = shown.partition("\x1b8")[2].partition("\x1b8")
    assert "\x1b[1;16r" in shown, "eight lines of 24 do not scroll"
    lines = re.sub(r"\x1b\[[\d;]*m", "", drawn).split("\x1b[2K")[1:]
    assert len(lines) == 8
    assert lines[0].rstrip() == "1 of 60 streams finished, 1 failed, 1 left out; 1,301 records"
    assert "; 1,100 left of the rate limit" in lines[1]
    assert lines[2].split()[:4] == ["incidents", "1,250", "of", "5,000"]
    assert lines[-1].rstrip() == "and 37 more", "what has no room is counted"
    _, given_back, after = end.rpartition("\x1b7\x1b[r\x1b[17;1H\x1b[J\x1b8")
    assert given_back
    assert after.startswith("1 of 60 streams finished") == stays


def test_a_terminal_that_changes_its_size_is_divided_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, lines=24)
    with live(SyncStats(client, 1), stays=False):
        wait_for(lambda: "\x1b[1;16r" in terminal.shown)
        terminal.resize(60)
        wait_for(lambda: "\x1b[1;48r" in terminal.shown)
    assert "\x1b[r\x1b[49;1H\x1b[J" in terminal.end()


@pytest.mark.parametrize("lines", [0, 8])
def test_a_terminal_without_room_is_left_alone(client: Client, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    terminal = Terminal(monkeypatch, lines=lines)
    with live(SyncStats(client, 1), stays=False):
        time.sleep(0.6)
    assert terminal.end() == ""


def test_whoever_ends_the_process_gives_the_terminal_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch, lines=24)
    with live(SyncStats(client, 1), stays=False):
        wait_for(lambda: "1 stream" in terminal.shown)
        give_back_terminal()
        wait_for(lambda: "\x1b[r" in terminal.shown)
    assert terminal.end().count("\x1b[r") == 1


class Terminal:
    """A terminal as stderr; `shown` is all that was written to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(lines)
        self.stderr = os.fdopen(theirs, "w", buffering=1)
        monkeypatch.setenv("TERM", "xterm")
        for name in ("COLUMNS", "LINES"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("sys.stderr", self.stderr)
        self.shown = ""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def resize(self, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 100, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._ours, 65536)
            except OSError:
                return
            self.shown += read.decode()

    def end(self) -> str:
        self.stderr.close()
        self._thread.join(5)
        os.close(self._ours)
        return self.shown


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
