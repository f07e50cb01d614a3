"""The stopwatch: it counts while at least one thread is inside."""

import contextlib
import time

import pytest

from source_incident.api.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the stopwatch, as the only element of a list."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_counts_the_time_inside_and_not_outside(clock: list[float]) -> None:
    stopwatch = Stopwatch()
    clock[0] += 5
    for _ in range(2):
        with stopwatch:
            clock[0] += 3
        clock[0] += 10
    assert stopwatch.seconds == 6


def test_stops_when_the_last_thread_leaves(clock: list[float]) -> None:
    stopwatch = Stopwatch()
    with stopwatch:
        clock[0] += 1
        with stopwatch:
            clock[0] += 2
        clock[0] += 4
    clock[0] += 8
    assert stopwatch.seconds == 7


def test_counts_a_wait_that_has_not_ended(clock: list[float]) -> None:
    stopwatch = Stopwatch()
    with stopwatch:
        clock[0] += 2
        assert stopwatch.seconds == 2
        clock[0] += 2
        assert stopwatch.seconds == 4


def test_stops_when_a_wait_ends_with_an_error(clock: list[float]) -> None:
    stopwatch = Stopwatch()
    with contextlib.suppress(ValueError), stopwatch:
        clock[0] += 2
        raise ValueError
    clock[0] += 5
    assert stopwatch.seconds == 2
