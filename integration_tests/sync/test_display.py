"""What a person at a terminal sees of a sync, and what a log gets of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Callable

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.support.tap import AIRBYTE, PROGRAM, ROOT, SECONDS, SINGER, Catalog, Run, Tap, clean_environment
from sandbox import Sandbox

StartSandbox = Callable[..., Sandbox]
SUMMARY = re.compile(
    r"Summary: (\d+) of (\d+) streams? finished; ([\d,]+) records?; ([\d,]+) requests?, \d+ retr(?:y|ies), "
    r"[\d.]+ s waited; [\d.]+ s in all"
)


def at_a_terminal(tap: Tap, *arguments: str, **environment: str) -> tuple[Run, str]:
    """Runs the program with a terminal as its stderr: the run, and all that the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                shown.append(os.read(ours, 65536))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        env={**clean_environment(), "TERM": "xterm", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=SECONDS,
    )
    os.close(theirs)
    reader.join(10)
    os.close(ours)
    text = b"".join(shown).decode()
    return Run(tap.protocol, done.returncode, done.stdout, text), text


def test_a_terminal_shows_the_sync_and_whole_lines_of_the_log(new_sandbox: StartSandbox, tap_of: MakeTap) -> None:
    sandbox = new_sandbox(incidents=20, latency=60, alerts=100)
    tap = tap_of(sandbox)
    run, shown = at_a_terminal(tap, *tap.read_arguments())
    counts = sum(run.ok().counts.values())
    assert counts > 500
    assert "left of the rate limit" in shown
    assert re.search(r"incidents +0 of \d+ +0/s", shown)
    assert shown.rindex("\x1b[r") > shown.rindex("\x1b[1;20r"), "the terminal scrolls as before"
    (summary,) = SUMMARY.findall(run.log)
    assert int(summary[2].replace(",", "")) == counts
    assert int(summary[3].replace(",", "")) == sandbox.requests()["total"]


@pytest.mark.parametrize(
    ("protocol", "flag", "environment"),
    [(AIRBYTE, "--no-progress", {}), (SINGER, "--debug", {"TERM": "dumb"})],
    ids=["off", "dumb"],
)
def test_a_terminal_that_cannot_show_it_or_shall_not_gets_the_log_alone(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, flag: str, environment: dict[str, str]
) -> None:
    tap = tap_of(shared_sandbox)
    arguments = tap.read_arguments(catalog.of(protocol, ["severities"]))
    run, shown = at_a_terminal(tap, *arguments, flag, **environment)
    assert "\x1b" not in shown
    assert SUMMARY.search(run.ok().log)
