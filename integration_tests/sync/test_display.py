"""The progress display at a terminal, and the summary in the log."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import AIRBYTE, PROGRAM, ROOT, SECONDS, SINGER, MakeTap, Run, Tap, clean_environment
from sandbox import Sandbox

SUMMARY = re.compile(
    r"Summary: (\d+) of (\d+) streams? finished; ([\d,]+) records?; ([\d,]+) requests?, \d+ retr(?:y|ies), "
    r"[\d.]+ s waited; [\d.]+ s in all"
)


def at_a_terminal(tap: Tap, *arguments: str, **environment: str) -> tuple[Run, str]:
    """Run the program with a terminal as stderr; return the run, and everything printed to the terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                shown.append(os.read(master, 65536))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    process = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        env={**clean_environment(), "TERM": "xterm", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
        timeout=SECONDS,
    )
    os.close(slave)
    reader.join(10)
    os.close(master)
    text = b"".join(shown).decode()
    return Run(tap.protocol, process.returncode, process.stdout, text), text


def test_a_terminal_shows_progress_and_log_lines(new_sandbox: StartSandbox, tap_of: MakeTap) -> None:
    sandbox = new_sandbox(incidents=20, latency=60, alerts=100)
    tap = tap_of(sandbox)
    run, shown = at_a_terminal(tap, *tap.read_arguments())
    counts = sum(run.ok().counts.values())
    assert counts > 500
    assert "left of the rate limit" in shown
    assert re.search(r"incidents +0 of \d+ +0/s", shown)
    assert shown.rindex("\x1b[r") > shown.rindex("\x1b[1;20r"), "the terminal scrolls normally again"
    (summary,) = SUMMARY.findall(run.log)
    assert int(summary[2].replace(",", "")) == counts
    assert int(summary[3].replace(",", "")) == sandbox.requests()["total"]


@pytest.mark.parametrize(
    ("protocol", "flag", "environment"),
    [(AIRBYTE, "--no-progress", {}), (SINGER, "--debug", {"TERM": "dumb"})],
    ids=["off", "dumb"],
)
def test_shows_log_lines_only_without_progress_or_on_a_dumb_terminal(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, flag: str, environment: dict[str, str]
) -> None:
    tap = tap_of(shared_sandbox)
    arguments = tap.read_arguments(catalog.of(protocol, ["severities"]))
    run, shown = at_a_terminal(tap, *arguments, flag, **environment)
    assert "\x1b" not in shown
    assert SUMMARY.search(run.ok().log)
