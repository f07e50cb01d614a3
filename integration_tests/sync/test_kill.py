"""A sync that is killed again and again comes to what an undisturbed one comes to."""

from __future__ import annotations

from integration_tests.soak.kill import outcomes, summary

SEEDS = 20


def test_killed_at_random_moments_and_resumed_nothing_is_missing(capsys: object) -> None:
    done = list(outcomes(range(SEEDS)))
    print(*done, sep="\n")
    with capsys.disabled():  # type: ignore[attr-defined]
        print(f"\n{summary(done)}")
    assert not [str(one) for one in done if one.wrong]
    assert sum(one.kills for one in done) > SEEDS, "too few kills to prove anything"
