"""Syncs with every fault at once, for a few seeds."""

from __future__ import annotations

import pytest

from integration_tests.soak.faults import outcomes, summary

SEEDS = 3


def test_loses_no_record_with_every_fault_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    results = list(outcomes(range(SEEDS), incidents=300))
    print(*results, sep="\n")
    with capsys.disabled():
        print(f"\n{summary(results).splitlines()[0]}")
    assert not [str(outcome) for outcome in results if outcome.differences]
    assert sum(outcome.faults.total() for outcome in results) > 20, "too few faults to prove anything"
