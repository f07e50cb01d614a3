"""Syncs of an account that changes and loses records, once per protocol."""

from __future__ import annotations

import pytest

from integration_tests.soak.moving import outcomes, summary


def test_ends_with_the_rows_of_the_account_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    results = list(outcomes(range(2)))
    with capsys.disabled():
        print(f"\n{summary(results)}")
    assert not [str(outcome) for outcome in results if outcome.differences]
    assert all(outcome.kills and outcome.faults and outcome.removed for outcome in results), "it proves nothing"
