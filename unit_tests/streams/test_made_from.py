"""Key columns that a record can come without."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from source_incident.streams.on_call import ScheduleEntries

SHIFT = {
    "start_at": "2026-01-01T00:00:00Z",
    "end_at": "2026-01-02T00:00:00Z",
    "rotation_id": "ROT",
    "user": {"id": "U"},
}


class Answer(requests.Response):
    def __init__(self, entries: list[dict[str, Any]]) -> None:
        super().__init__()
        self.entries = entries

    def json(self, **_: Any) -> Any:
        return {"schedule_entries": {"final": [dict(entry) for entry in self.entries]}}


def fingerprints(entries: list[dict[str, Any]]) -> list[str]:
    stream = object.__new__(ScheduleEntries)
    records = stream.parse_response(Answer(entries), stream_state={}, stream_slice={"schedule_id": "S"})
    return [record["fingerprint"] for record in records]


def test_a_fingerprint_of_the_api_stays() -> None:
    assert fingerprints([{**SHIFT, "fingerprint": "abc", "entry_id": "E"}]) == ["abc"]


@pytest.mark.parametrize("absent", [{}, {"fingerprint": None}, {"fingerprint": ""}])
def test_an_entry_without_a_fingerprint_gets_the_same_one_at_every_read(absent: dict[str, Any]) -> None:
    entries = [
        {**SHIFT, **absent},
        {**SHIFT, **absent, "user": {"id": "V"}},
        {**SHIFT, **absent, "start_at": "2026-01-02T00:00:00Z"},
        {**SHIFT, **absent, "entry_id": "E"},
        {**SHIFT, **absent, "user": None},
    ]
    first, second = fingerprints(entries), fingerprints(entries)
    assert first == second
    assert all(first)
    assert len(set(first)) == len(entries)
