"""Each fault on the later pages of a list."""

from __future__ import annotations

import json

import pytest

from integration_tests.faults.report import Report
from integration_tests.faults.runs import (
    HEALTHY_STREAMS,
    Listener,
    Runs,
    assert_clean_output,
    failures_of,
    normalize,
    retries_of,
)
from integration_tests.support.account import declarations
from integration_tests.support.faults import HARMLESS, PERMANENT, RATE_LIMITED, TRANSIENT, Case
from integration_tests.support.tap import PROTOCOLS


def case_id(case: Case) -> str:
    return case.name.replace("`", "")


@pytest.mark.parametrize("single", [*TRANSIENT, *RATE_LIMITED], ids=case_id)
def test_retries_a_transient_fault(runs: Runs, single: Case, reliability: Report) -> None:
    """The fault hits one page of a list once. The connector logs the reason and the waiting time in one line and
    retries the request. In both protocols every record is emitted and the exit code is 0. The result is the logged
    reason."""
    reasons = set()
    for protocol in PROTOCOLS:
        result = runs.single(protocol, single)
        assert_clean_output(result.run)
        result.run.ok()
        assert result.faults == 1
        assert result.differences == []
        assert result.retry is not None
        assert result.retry["path"].startswith(f"{declarations()[result.stream].endpoint}?after=01")
        attempts = (result.retry["attempt"], result.retry["attempts"])
        assert attempts == ("1" if single in RATE_LIMITED else "2", "9")
        assert bool(result.retry["request_id"]) == single.request_id
        reasons.add(normalize(result.retry["reason"]))
    (reason,) = reasons
    reliability(single.name, reason)


@pytest.mark.parametrize("persistent", HARMLESS, ids=case_id)
def test_reads_harmless_deviations(runs: Runs, persistent: Case, reliability: Report) -> None:
    """Every page after the first deviates in this way. The connector reads it without a retry, emits every record and
    exits with 0."""
    result = runs.persistent(persistent)
    assert_clean_output(result.run)
    result.run.ok()
    assert result.faults > 1
    assert retries_of(result.run) == []
    assert result.differences == []
    reliability(persistent.name, "every record is emitted")


@pytest.mark.parametrize("persistent", [*TRANSIENT, *PERMANENT], ids=case_id)
def test_ends_only_the_stream_with_a_persistent_fault(
    runs: Runs, persistent: Case, other_host: Listener, reliability: Report
) -> None:
    """The fault hits every page after the first, at every retry. The stream fails, the other streams finish, and the
    exit code is 1. The next run, also in the other protocol, emits the missing records and repeats none. The result is
    the stream's failure type and message, with one retry allowed."""
    result = runs.persistent(persistent)
    assert_clean_output(result.run)
    assert result.run.code == 1
    failure_type, message = failures_of(result.run)[result.stream]
    assert result.run.statuses(result.stream)[-1] == "INCOMPLETE"
    for stream in HEALTHY_STREAMS:
        assert result.run.statuses(stream)[-1] == "COMPLETE"
    path = declarations()[result.stream].endpoint
    retries = [retry for retry in retries_of(result.run) if retry["path"].startswith(path)]
    assert len(retries) == (1 if persistent in TRANSIENT else 0)
    assert ("request_id" in message) == persistent.request_id
    assert other_host.connections == 0
    # The state covers exactly the emitted records.
    assert result.next_run is not None
    assert_clean_output(result.next_run)
    result.next_run.ok()
    assert result.differences == []
    emitted = [record["id"] for record in result.run.records[result.stream]]
    assert emitted[-1] in json.dumps(result.run.states[result.stream])
    assert not {record["id"] for record in result.next_run.records[result.stream]} & set(emitted)
    reliability(persistent.name, f"{failure_type}: {normalize(message.removeprefix(result.stream + ': '))}")


@pytest.mark.parametrize(("persistent", "pages"), [(PERMANENT[0], 3), (PERMANENT[1], 1)], ids=["cycle", "repeat"])
def test_detects_repeated_pages(runs: Runs, persistent: Case, pages: int, reliability: Report) -> None:
    """The list repeats its pages and has no end. The connector stops as soon as a page repeats. Pages are requested
    ahead, so the number of requests varies by one."""
    result = runs.persistent(persistent)
    assert result.requests <= 1 + pages + 1
    reliability(persistent.name, f"at most {2 + pages} requests; the cycle has {pages}")
