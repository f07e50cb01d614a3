"""Signals, and a target that closes the pipe."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import AIRBYTE, PROGRAM, ROOT, SINGER, MakeTap, clean_environment
from sandbox import Sandbox

MAX_SECONDS = 5.0


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
def test_a_signal_ends_the_run_promptly_with_a_valid_state(
    new_sandbox: StartSandbox,
    tap_of: MakeTap,
    catalog: Catalog,
    protocol: str,
    number: signal.Signals,
    code: int,
    stalled: bool,
) -> None:
    """With `stalled`, every request waits for an answer when the signal arrives."""
    sandbox = new_sandbox(alerts=2000, plain=True, latency=20)
    names = ["alerts", "actions"]
    tap, selected = tap_of(sandbox), catalog.of(protocol, names)
    process = tap.start(*tap.read_arguments(selected))
    output = tap.read_lines(process, until=lambda output: output.count(b'"RECORD"') >= 300 and b'"STATE"' in output)
    if stalled:
        sandbox.config(latency=30_000)
        time.sleep(0.5)
    signalled_at = time.monotonic()
    process.send_signal(number)
    stopped = tap.wait(process, output)
    assert time.monotonic() - signalled_at < MAX_SECONDS
    assert stopped.code == code
    assert "Traceback" not in stopped.stderr
    assert stopped.stdout.endswith(b"\n")
    assert len(stopped.records["alerts"]) < 2000
    # The state covers the emitted records: the next run emits the others, and repeats few.
    sandbox.config(latency=0)
    destination = Destination(catalog.keys)
    destination.load(stopped)
    destination.load(tap.read(selected, stopped.state).ok())
    assert not list(differences(destination, {"alerts": sandbox.records("alerts")}))
    assert destination.written["alerts"] - 2000 <= 3 * 50


def test_keeps_ignoring_signals_that_were_ignored_at_the_start(shared_sandbox: Sandbox, tap_of: MakeTap) -> None:
    """As under nohup, or in the background of a shell without job control."""
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
def test_ends_quietly_when_the_target_closes_the_pipe(
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


def test_sends_no_requests_while_the_target_does_not_read(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=20_000, plain=True)
    tap = tap_of(sandbox)
    process = tap.start(*tap.read_arguments(catalog.of(protocol, ["alerts"])))
    try:
        previous = -1
        for _ in range(100):
            time.sleep(0.3)
            total = sandbox.requests(log=False)["total"]
            if total and total == previous:
                break
            previous = total
        assert 0 < previous < 40, "the list has 400 pages"
    finally:
        process.kill()
        process.communicate()
