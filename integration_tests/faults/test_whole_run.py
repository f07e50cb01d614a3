"""Faults that are the whole run's: the network, the key, the limits, the page that a state hangs on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.faults.conftest import Reliability
from integration_tests.faults.runs import clean, failures_of, retries_of, told
from integration_tests.support.account import Account
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, SINGER, Catalog, Destination, Run
from sandbox import Sandbox

NAMES = ("alerts", "escalations", "severities")
LATER = "path=/v2/alerts,query=after="


def lacking(sandbox: Sandbox, catalog: Catalog, *runs: Run) -> list[str]:
    """By what a destination differs from the account after some runs."""
    destination = Destination(catalog.keys)
    for run in runs:
        destination.load(run)
    return list(differences(destination, Account(sandbox).of(NAMES)))


def test_refused_connections_are_tried_again(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Reliability
) -> None:
    """The API goes away in the middle of a sync, every connection broken and new ones refused, and comes back:"""
    sandbox = new_sandbox(fault=[f"refuse:seconds=1.5,{LATER},times=1"])
    run = tap_of(sandbox).read(catalog.of(protocol, NAMES)).ok()
    clean(run)
    assert lacking(sandbox, catalog, run) == []
    assert "connection refused" in {found["what"] for found in retries_of(run)}
    reliability(f"refused for 1.5 s, {protocol}", "tried again until it answered; every record came; exit 0")


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_an_api_that_goes_away_ends_what_was_not_read(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, reliability: Reliability
) -> None:
    """The API goes away in the middle of a sync, and does not come back before the retries are used up:"""
    sandbox = new_sandbox(fault=[f"refuse:seconds=3,{LATER},times=1"])
    names = ("alerts", "severities")
    run = tap_of(sandbox, max_retries=1).read(catalog.of(AIRBYTE, names))
    clean(run)
    assert run.code == 1
    kind, message = failures_of(run)["alerts"]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            sandbox.config(fault=[])
            break
        except OSError:
            time.sleep(0.2)
    rest = tap_of(sandbox, speaks=SINGER).read(catalog.of(SINGER, NAMES), run.state).ok()
    assert lacking(sandbox, catalog, run, rest) == []
    reliability("refused for good", f"{kind}: {told(message.removeprefix('alerts: '))}; the next run brings the rest")


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_a_key_revoked_in_the_middle_ends_the_run(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, reliability: Reliability
) -> None:
    """401 in the middle of a sync is the same for every stream, so it is said once and no more is asked for:"""
    sandbox = new_sandbox(alerts=600, fault=["401:nth=6-"])
    run = tap_of(sandbox).read(catalog.of(AIRBYTE, NAMES))
    clean(run)
    assert run.code == 1
    (trace,) = run.traces("ERROR")
    assert trace["error"]["failure_type"] == "config_error"
    assert retries_of(run) == []
    assert run.records["alerts"]
    sandbox.config(fault=[])
    rest = tap_of(sandbox, speaks=SINGER).read(catalog.of(SINGER, NAMES), run.state).ok()
    assert lacking(sandbox, catalog, run, rest) == []
    reliability("401", f"config_error: {told(trace['error']['message'])}; with a good key the next run brings the rest")


def test_a_page_that_is_gone_starts_its_pass_again(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Reliability
) -> None:
    """`after` names a record that the API does not know, or no longer:"""
    sandbox = new_sandbox(fault=[f"after:as=unknown,{LATER},times=1"])
    run = tap_of(sandbox).read(catalog.of(protocol, NAMES)).ok()
    clean(run)
    assert lacking(sandbox, catalog, run) == []
    (line,) = [line for line in run.log.splitlines() if "starts again" in line]
    said = told(line.partition("alerts: ")[2])
    reliability(f"an unknown `after`, {protocol}", f"{said}; every record came, some twice; exit 0")


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_an_absurd_retry_after_is_bounded(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, reliability: Reliability
) -> None:
    """429 with a `Retry-After` of three years, and SIGTERM while the run waits:"""
    sandbox = new_sandbox(fault=["429:retry_after=99999999,path=/v2/alerts"])
    tap = tap_of(sandbox)
    process = tap.start(*tap.read_arguments(catalog.of(AIRBYTE, NAMES)))
    assert process.stdout is not None
    taken = b""
    while b"retry: " not in taken:
        line = process.stdout.readline()
        assert line, "it ended by itself"
        taken += line
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    run = tap.ended(process, taken)
    assert time.monotonic() - asked < 5
    clean(run)
    assert run.code == 143
    (retry,) = retries_of(run)
    assert 300 <= float(retry["wait"]) <= 301
    reliability("429 with Retry-After: 99999999", "waits 300 s and no longer; SIGTERM ends the wait, exit 143")
