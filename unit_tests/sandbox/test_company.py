"""The invented company: the same for the same seed, of any size."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from sandbox.company import Company
from sandbox.contract import Contract
from sandbox.ids import make_id, make_salt, number_from_id
from sandbox.lists import ChildList, RecordList
from sandbox.options import Options
from sandbox.times import Clock, format_moment, parse_moment

NOW = "2026-03-02T10:00:00Z"
CONTRACT = Contract()


def company(**options: object) -> Company:
    return Company(CONTRACT, Options(**options), Clock(NOW))  # type: ignore[arg-type]


def contents(made: Company) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for name, records in made.lists.items():
        small = [records] if isinstance(records, RecordList) else [c for _, c in records.all()]
        found[name] = [one.row(handle) for one in small for handle in one.handles()]
    return found


def test_the_same_seed_makes_the_same_company() -> None:
    size = {"incidents": 20, "updates": 60, "actions": 30, "follow_ups": 10, "alerts": 40}
    first, again = contents(company(**size)), contents(company(**size))
    # A pause that is still to come starts at the clock's time, which runs.
    first.pop("on_call_notification_pauses"), again.pop("on_call_notification_pauses")
    assert first == again
    other = contents(company(**size, seed=2))
    assert other["incidents"] != first["incidents"]
    assert other["workflows"] != first["workflows"]


def test_counts_are_those_asked_for() -> None:
    made = company(incidents=7, updates=5, actions=0, follow_ups=3, alerts=2, users=4)
    counts = {
        name: len(made.lists[name])  # type: ignore[arg-type]
        for name in ("incidents", "incident_updates", "actions", "follow_ups", "alerts", "users")
    }
    assert list(counts.values()) == [7, 5, 0, 3, 2, 4]


def test_without_incidents_nothing_belongs_to_them() -> None:
    made = company(incidents=0, alerts=0, escalations=0)
    for name in ("incidents", "incident_updates", "actions", "follow_ups", "alerts"):
        assert len(made.lists[name]) == 0  # type: ignore[arg-type]
    assert contents(made)["incident_attachments"] == []


def test_the_last_change_was_about_a_week_ago() -> None:
    made = company()
    newest = max(
        str(made.records(name)[index]["updated_at"])
        for name in ("incidents", "actions", "follow_ups", "alerts", "escalations")
        for index in range(len(made.lists[name]))  # type: ignore[arg-type]
        if index % 10 == 0
    )
    assert "2026-01-15" < newest <= "2026-02-23T00:00:00Z"


@pytest.mark.parametrize("name", ["alerts", "incidents", "incident_updates", "actions"])
def test_a_record_of_a_million_is_found_at_once(name: str) -> None:
    size = {"incidents": 100_000, "alerts": 1_000_000, "updates": 1_000_000, "actions": 500_000}
    tracemalloc.start()
    began = time.process_time()
    made = company(**size)
    records = made.lists[name]
    assert isinstance(records, RecordList)
    for handle in range(0, records.length, records.length // 100):
        record_id = records.id_of(handle)
        assert records.find(record_id) == handle
        assert records.record(handle)["id"] == record_id
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - began < 10
    assert peak < 40_000_000


def test_times_can_be_rounded_so_that_many_are_the_same() -> None:
    made = company(alerts=500, round_times=86400)
    created = [alert["created_at"] for alert in made.records("alerts")]
    assert len(set(created)) < 370
    assert created == sorted(created)
    ids = [alert["id"] for alert in made.records("alerts")]
    assert ids == sorted(ids)


def test_children_of_children_are_found_by_their_ids() -> None:
    made = company(incidents=30)
    for name in ("call_sessions", "call_transcript_entries", "status_page_incidents"):
        children = made.lists[name]
        assert isinstance(children, ChildList)
        for _, small in list(children.all())[:5]:
            for handle in list(small.handles())[:3]:
                found = children.find(small.id_of(handle))
                assert found is not None
                assert found.row(handle) == small.row(handle)


def test_ids_carry_their_index() -> None:
    salt = make_salt(3, "alerts")
    for flat in (0, 1, 77, 10**6, 2**51):
        made = make_id(salt, flat, 1_700_000_000_000)
        assert len(made) == 26
        assert number_from_id(salt, made) == flat
        assert number_from_id(make_salt(3, "actions"), made) is None
    assert number_from_id(salt, "not an id") is None
    assert number_from_id(salt, "u" * 26) is None


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2023-10-24T09:27:22.72Z", 1698139642720),
        ("2023-10-24T09:27:22Z", 1698139642000),
        ("2023-10-24T11:27:22.7204999+02:00", 1698139642720),
        ("2023-10-24", 1698105600000),
        ("2023-10-24T09:27:22", None),
        ("2023-13-24", None),
        ("24/10/2023", None),
        ("", None),
    ],
)
def test_moments_are_read(text: str, ms: int | None) -> None:
    assert parse_moment(text) == ms


@pytest.mark.parametrize("text", ["2023-10-24T09:27:22.72Z", "2023-10-24T09:27:20Z", "2023-10-24T09:27:22.001Z"])
def test_moments_are_written_as_they_are_read(text: str) -> None:
    ms = parse_moment(text)
    assert ms is not None
    assert format_moment(ms) == text
