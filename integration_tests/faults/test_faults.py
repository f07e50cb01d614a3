"""Each fault on a list's later pages: what passes costs nothing, what stays ends that stream alone."""

from __future__ import annotations

import json

import pytest

from integration_tests.faults.cases import ANSWERS, HARMLESS, LIMITED, PASSING, UNTOUCHED, Case
from integration_tests.faults.conftest import Reliability
from integration_tests.faults.runs import Listener, Runs, clean, failures_of, retries_of, told
from integration_tests.support.account import declarations
from integration_tests.support.tap import PROTOCOLS


def name(case: Case) -> str:
    return case.name.replace("`", "")


@pytest.mark.parametrize("passing", [*PASSING, *LIMITED], ids=name)
def test_a_fault_that_passes(runs: Runs, passing: Case, reliability: Reliability) -> None:
    """A page of a list is struck once. It is asked for again, with one line that says why and for how long it waits;
    every record comes, in both protocols, and the exit code is 0. What the line says:"""
    said = set()
    for protocol in PROTOCOLS:
        seen = runs.passing(protocol, passing)
        clean(seen.run)
        seen.run.ok()
        assert seen.struck == 1
        assert seen.lacking == []
        assert seen.retry is not None
        assert seen.retry["where"].startswith(f"{declarations()[seen.stream].endpoint}?after=01")
        assert (seen.retry["n"], seen.retry["m"]) == ("1" if passing in LIMITED else "2", "9")
        assert bool(seen.retry["request_id"]) == passing.request_id
        said.add(told(seen.retry["what"]))
    (what,) = said
    reliability(passing.name, what)


@pytest.mark.parametrize("staying", HARMLESS, ids=name)
def test_a_fault_that_changes_nothing(runs: Runs, staying: Case, reliability: Reliability) -> None:
    """Every page of a list after the first is so, and is read as it is: every record comes, the exit code is 0."""
    seen = runs.staying(staying)
    clean(seen.run)
    seen.run.ok()
    assert seen.struck > 1
    assert retries_of(seen.run) == []
    assert seen.lacking == []
    reliability(staying.name, "every record came")


@pytest.mark.parametrize("staying", [*PASSING, *ANSWERS], ids=name)
def test_a_fault_that_stays(runs: Runs, staying: Case, other: Listener, reliability: Reliability) -> None:
    """Every page of a list after the first is struck, however often it is asked for. That stream ends, the others
    finish, the exit code is 1, and the next run, in the other protocol even, brings what is missing and nothing again.
    The stream's failure type and message:"""
    seen = runs.staying(staying)
    clean(seen.run)
    assert seen.run.code == 1
    kind, message = failures_of(seen.run)[seen.stream]
    assert seen.run.statuses(seen.stream)[-1] == "INCOMPLETE"
    for untouched in UNTOUCHED:
        assert seen.run.statuses(untouched)[-1] == "COMPLETE"
    path = declarations()[seen.stream].endpoint
    retries = [found for found in retries_of(seen.run) if found["where"].startswith(path)]
    assert len(retries) == (1 if staying in PASSING else 0)
    assert ("request_id" in message) == staying.request_id
    assert other.visits == 0
    # The state is true of what was emitted: the next run brings what is missing, and what came before it not again.
    assert seen.rest is not None
    clean(seen.rest)
    seen.rest.ok()
    assert seen.lacking == []
    emitted = [record["id"] for record in seen.run.records[seen.stream]]
    assert emitted[-1] in json.dumps(seen.run.states[seen.stream])
    assert not {record["id"] for record in seen.rest.records[seen.stream]} & set(emitted)
    reliability(staying.name, f"{kind}: {told(message.removeprefix(seen.stream + ': '))}")


@pytest.mark.parametrize(("staying", "turn"), [(ANSWERS[0], 3), (ANSWERS[1], 1)], ids=["cycle", "repeat"])
def test_a_cycle_of_pages_is_left_within_one_turn(
    runs: Runs, staying: Case, turn: int, reliability: Reliability
) -> None:
    """How many requests such a list costs:"""
    seen = runs.staying(staying)
    assert seen.asked <= 1 + turn + 1
    reliability(staying.name, f"{seen.asked}, of which {turn} in the cycle")
