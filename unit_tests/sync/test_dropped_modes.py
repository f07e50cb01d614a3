"""What a state keeps of incident modes that the config does not have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from source_incident.sync.state import StreamState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BOOKMARK = "2025-12-01T00:00:00.000Z"


def full_refresh_state(modes: tuple[str, ...], state: dict[str, Any] | None = None) -> StreamState:
    stream = StreamState("incident_timeline_items", None, modes, state)
    stream.begin(NOW, 7, None)
    return stream


def test_a_full_refresh_removes_rows_where_the_config_has_no_default_mode() -> None:
    first = full_refresh_state(("test",))
    first.reached(["test"], (), None, NOW)
    assert first.finish_full_read()
    second = full_refresh_state(("test",), first.dump())
    second.reached(["test"], (), None, NOW)
    assert second.finish_full_read()


def test_a_full_refresh_does_not_wait_for_a_mode_that_was_dropped_in_the_middle() -> None:
    state = {
        "modes": {"test": {"resume": {"after": "a", "since": None, "began": BOOKMARK, "full": True}}, "standard": {}},
        "full_read": {"version": 1, "began": BOOKMARK, "done": []},
    }
    stream = full_refresh_state(("standard",), state)
    stream.reached(["standard"], (), None, NOW)
    assert stream.finish_full_read() == 1


def test_an_incomplete_record_of_a_dropped_mode_is_read_again_when_the_mode_returns() -> None:
    retry = {"since": BOOKMARK, "ids": ["a"]}
    state = {"modes": {"test,standard": {"updated_at": BOOKMARK}}, "retry": retry}
    without = StreamState("incidents", "updated_at", ("standard",), state)
    without.resolve_retries()
    assert without.dump()["retry"] == retry
    again = StreamState("incidents", "updated_at", ("standard", "test"), without.dump())
    again.resolve_retries()
    assert "retry" not in again.dump()
