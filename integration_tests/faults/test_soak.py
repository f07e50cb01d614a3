"""Every fault at once: the destination ends with the account's exact records."""

from __future__ import annotations

from integration_tests.soak.faults import outcomes, summary

SEEDS = 3


def test_with_every_fault_at_once_nothing_is_lost(capsys: object) -> None:
    done = list(outcomes(range(SEEDS), incidents=300))
    print(*done, sep="\n")
    with capsys.disabled():  # type: ignore[attr-defined]
        print(f"\n{summary(done).splitlines()[0]}")
    assert not [str(outcome) for outcome in done if outcome.lost]
    assert sum(outcome.injected.total() for outcome in done) > 20, "too few faults to prove anything"
