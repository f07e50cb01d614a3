"""Signals, and a target that goes away."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, PROGRAM, ROOT, SINGER, Catalog, Destination, clean_environment
from sandbox import Sandbox

PROMPTLY = 5.0


@pytest.mark.parametrize(
    ("protocol", "number", "code", "stalled"),
    [
        (AIRBYTE, signal.SIGTERM, 143, False),
        (AIRBYTE, signal.SIGINT, 130, True),
        (SINGER, signal.SIGTERM, 143, True),
        (SINGER, signal.SIGINT, 130, False),
        (SINGER, signal.SIGHUP, 129, False),
    ],
)
def test_a_signal_ends_it_promptly_with_a_true_state(
    new_sandbox: Callable[..., Sandbox],
    tap_of: MakeTap,
    catalog: Catalog,
    protocol: str,
    number: signal.Signals,
    code: int,
    stalled: bool,
) -> None:
    """Also while every request waits for an answer that does not come."""
    sandbox = new_sandbox(alerts=2000, plain=True, latency=20)
    names = ["alerts", "actions"]
    tap, chosen = tap_of(sandbox), catalog.of(protocol, names)
    process = tap.start(*tap.read_arguments(chosen))
    assert process.stdout is not None
    taken = b""
    while taken.count(b'"RECORD"') < 300 or b'"STATE"' not in taken:
        line = process.stdout.readline()
        assert line, "it ended by itself"
        taken += line
    if stalled:
        sandbox.config(latency=30_000)
        time.sleep(0.5)
    asked = time.monotonic()
    process.send_signal(number)
    stopped = tap.ended(process, taken)
    assert time.monotonic() - asked < PROMPTLY
    assert stopped.code == code
    assert "Traceback" not in stopped.stderr
    assert stopped.stdout.endswith(b"\n")
    assert len(stopped.records["alerts"]) < 2000
    # The state is true of what came: the next run has the rest, and little again.
    sandbox.config(latency=0)
    destination = Destination(catalog.keys)
    destination.load(stopped)
    destination.load(tap.read(chosen, stopped.state).ok())
    assert not list(differences(destination, {"alerts": sandbox.records("alerts")}))
    assert destination.written["alerts"] - 2000 <= 3 * 50


def test_a_signal_that_is_ignored_at_the_start_stays_ignored(shared_sandbox: Sandbox, tap_of: MakeTap) -> None:
    """As nohup starts a program, and a shell without job control what runs in its background."""
    tap = tap_of(shared_sandbox)
    ignoring = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh", *PROGRAM]
    with subprocess.Popen(
        [*ignoring, *tap.read_arguments()], cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        for number in (signal.SIGHUP, signal.SIGINT):
            process.send_signal(number)
        process.stdout.read()
        assert process.wait(30) == 0


@pytest.mark.parametrize(("protocol", "lines"), [(AIRBYTE, 1), (SINGER, 1), (AIRBYTE, 500), (SINGER, 500)])
def test_a_target_that_goes_away_ends_it_quietly(
    shared_sandbox: Sandbox, tap_of: MakeTap, protocol: str, lines: int
) -> None:
    tap = tap_of(shared_sandbox)
    process = tap.start(*tap.read_arguments())
    assert process.stdout is not None
    for _ in range(lines):
        assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    assert process.wait(30) == 141
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors
    if protocol != SINGER:
        assert errors == ""


def test_nothing_is_asked_for_while_the_target_does_not_read(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=20_000, plain=True)
    tap = tap_of(sandbox)
    process = tap.start(*tap.read_arguments(catalog.of(protocol, ["alerts"])))
    try:
        seen = -1
        for _ in range(100):
            time.sleep(0.3)
            total = sandbox.requests(log=False)["total"]
            if total and total == seen:
                break
            seen = total
        assert 0 < seen < 40, "of 400 pages"
    finally:
        process.kill()
        process.communicate()
