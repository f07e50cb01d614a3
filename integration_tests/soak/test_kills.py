"""Syncs that are killed and resumed, for a few seeds."""

from __future__ import annotations

import pytest

from integration_tests.soak.kill import outcomes, summary

SEEDS = 10


def test_loses_no_record_when_killed_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    results = list(outcomes(range(SEEDS)))
    print(*results, sep="\n")
    with capsys.disabled():
        print(f"\n{summary(results)}")
    assert not [str(outcome) for outcome in results if outcome.differences]
    assert sum(outcome.kills for outcome in results) > SEEDS, "too few kills to prove anything"
