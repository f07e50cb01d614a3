"""Faults that affect the run: the network, the key, the rate limit, an expired page."""

from __future__ import annotations

import signal
import time

import pytest

from integration_tests.faults.report import Report
from integration_tests.faults.runs import assert_clean_output, failures_of, normalize, retries_of
from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import AIRBYTE, SINGER, MakeTap, Run
from sandbox import Sandbox

NAMES = ("alerts", "escalations", "severities")
LATER_PAGES = "path=/v2/alerts,query=after="


def differences_after(sandbox: Sandbox, catalog: Catalog, *runs: Run) -> list[str]:
    """Return the differences between the account and a destination that loaded some runs."""
    destination = Destination(catalog.keys)
    for run in runs:
        destination.load(run)
    return list(differences(destination, Account(sandbox).of(NAMES)))


def test_retries_refused_connections(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Report
) -> None:
    """The API breaks every connection during a sync, refuses new ones, and comes back."""
    sandbox = new_sandbox(fault=[f"refuse:seconds=1.5,{LATER_PAGES},times=1"])
    run = tap_of(sandbox).read(catalog.of(protocol, NAMES)).ok()
    assert_clean_output(run)
    assert differences_after(sandbox, catalog, run) == []
    assert "connection refused" in {retry["reason"] for retry in retries_of(run)}
    reliability(f"refused for 1.5 s, {protocol}", "retried until the API answers; every record is emitted; exit code 0")


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_ends_when_the_api_does_not_come_back(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, reliability: Report
) -> None:
    """The API breaks every connection during a sync and refuses new ones until the retries are used up."""
    sandbox = new_sandbox(fault=[f"refuse:seconds=3,{LATER_PAGES},times=1"])
    names = ("alerts", "severities")
    run = tap_of(sandbox, max_retries=1).read(catalog.of(AIRBYTE, names))
    assert_clean_output(run)
    assert run.code == 1
    failure_type, message = failures_of(run)["alerts"]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            sandbox.config(fault=[])
            break
        except OSError:
            time.sleep(0.2)
    next_run = tap_of(sandbox, in_protocol=SINGER).read(catalog.of(SINGER, NAMES), run.state).ok()
    assert differences_after(sandbox, catalog, run, next_run) == []
    result = f"{failure_type}: {normalize(message.removeprefix('alerts: '))}"
    reliability("refused until the end", f"{result}. The next run emits the missing records")


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_ends_when_the_key_is_revoked(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, reliability: Report
) -> None:
    """The API answers 401 from the sixth request. The run reports the error once and sends no more requests."""
    sandbox = new_sandbox(alerts=600, fault=["401:nth=6-"])
    run = tap_of(sandbox).read(catalog.of(AIRBYTE, NAMES))
    assert_clean_output(run)
    assert run.code == 1
    (trace,) = run.traces("ERROR")
    assert trace["error"]["failure_type"] == "config_error"
    assert retries_of(run) == []
    assert run.records["alerts"]
    sandbox.config(fault=[])
    next_run = tap_of(sandbox, in_protocol=SINGER).read(catalog.of(SINGER, NAMES), run.state).ok()
    assert differences_after(sandbox, catalog, run, next_run) == []
    message = normalize(trace["error"]["message"])
    reliability("401", f"config_error: {message}. With a valid key the next run emits the missing records")


def test_restarts_a_list_whose_page_has_expired(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Report
) -> None:
    """The API does not know the record in `after`, for example because it was deleted."""
    sandbox = new_sandbox(fault=[f"after:as=unknown,{LATER_PAGES},times=1"])
    run = tap_of(sandbox).read(catalog.of(protocol, NAMES)).ok()
    assert_clean_output(run)
    assert differences_after(sandbox, catalog, run) == []
    (line,) = run.log_lines("alerts: ", "page", "request_id")
    warning = normalize(line.partition("alerts: ")[2])
    reliability(f"unknown `after`, {protocol}", f"{warning}; every record is emitted, some twice; exit code 0")


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_limits_the_wait_for_retry_after(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, reliability: Report
) -> None:
    """The API answers 429 with a `Retry-After` of three years, and the run gets SIGTERM while it waits."""
    sandbox = new_sandbox(fault=["429:retry_after=99999999,path=/v2/alerts"])
    tap = tap_of(sandbox)
    process = tap.start(*tap.read_arguments(catalog.of(AIRBYTE, NAMES)))
    output = tap.read_lines(process, until=lambda output: b"retry: " in output)
    signalled_at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    run = tap.wait(process, output)
    assert time.monotonic() - signalled_at < 5
    assert_clean_output(run)
    assert run.code == 143
    (retry,) = retries_of(run)
    assert 300 <= float(retry["seconds"]) <= 301
    reliability("429 with Retry-After: 99999999", "waits at most 300 s; SIGTERM ends the wait; exit code 143")
