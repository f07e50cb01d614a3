"""The invented company: reproducible, and of any size."""

from __future__ import annotations

import time
import tracemalloc
from datetime import datetime

import pytest

from sandbox.company import Company
from sandbox.contract import Contract
from sandbox.ids import make_id, make_salt, number_from_id
from sandbox.lists import ChildList, RecordList
from sandbox.options import Options
from sandbox.times import UNSET, Clock, cut_fraction, format_moment, format_record_time, parse_moment

NOW = "2026-03-02T10:00:00Z"
CONTRACT = Contract()


def make_company(**options: object) -> Company:
    return Company(CONTRACT, Options(**options), Clock(NOW))  # type: ignore[arg-type]


def contents(company: Company) -> dict[str, list[bytes]]:
    rows: dict[str, list[bytes]] = {}
    for name, records in company.lists.items():
        lists = [records] if isinstance(records, RecordList) else [children for _, children in records.all()]
        rows[name] = [records.row(handle) for records in lists for handle in records.handles()]
    return rows


def test_the_same_seed_gives_the_same_records() -> None:
    size = {"incidents": 20, "updates": 60, "actions": 30, "follow_ups": 10, "alerts": 40}
    first, second = contents(make_company(**size)), contents(make_company(**size))
    # Future pauses start relative to the clock, which advances.
    first.pop("on_call_notification_pauses"), second.pop("on_call_notification_pauses")
    assert first == second
    other = contents(make_company(**size, seed=2))
    assert other["incidents"] != first["incidents"]
    assert other["workflows"] != first["workflows"]


def test_lists_have_the_configured_sizes() -> None:
    company = make_company(incidents=7, updates=5, actions=0, follow_ups=3, alerts=2, users=4)
    counts = {
        name: len(company.lists[name])  # type: ignore[arg-type]
        for name in ("incidents", "incident_updates", "actions", "follow_ups", "alerts", "users")
    }
    assert list(counts.values()) == [7, 5, 0, 3, 2, 4]


def test_a_company_without_incidents_has_no_children_of_incidents() -> None:
    company = make_company(incidents=0, alerts=0, escalations=0)
    for name in ("incidents", "incident_updates", "actions", "follow_ups", "alerts"):
        assert len(company.lists[name]) == 0  # type: ignore[arg-type]
    assert contents(company)["incident_attachments"] == []


def test_the_last_change_was_about_a_week_ago() -> None:
    company = make_company()
    newest = max(
        str(company.records(name)[index]["updated_at"])
        for name in ("incidents", "actions", "follow_ups", "alerts", "escalations")
        for index in range(len(company.lists[name]))  # type: ignore[arg-type]
        if index % 10 == 0
    )
    assert "2026-01-15" < newest <= "2026-02-23T00:00:00Z"


@pytest.mark.parametrize("name", ["alerts", "incidents", "incident_updates", "actions"])
def test_finds_a_record_in_a_long_list_without_generating_the_list(name: str) -> None:
    size = {"incidents": 100_000, "alerts": 1_000_000, "updates": 1_000_000, "actions": 500_000}
    tracemalloc.start()
    started = time.process_time()
    company = make_company(**size)
    records = company.lists[name]
    assert isinstance(records, RecordList)
    for handle in range(0, records.length, records.length // 100):
        record_id = records.id_of(handle)
        assert records.find(record_id) == handle
        assert records.record(handle)["id"] == record_id
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - started < 10
    assert peak < 40_000_000


def test_round_times_makes_creation_times_equal() -> None:
    company = make_company(alerts=500, round_times=86400)
    created = [alert["created_at"] for alert in company.records("alerts")]
    assert len(set(created)) < 370
    assert created == sorted(created)
    ids = [alert["id"] for alert in company.records("alerts")]
    assert ids == sorted(ids)


def test_finds_grandchildren_by_id() -> None:
    company = make_company(incidents=30)
    for name in ("call_sessions", "call_transcript_entries", "status_page_incidents"):
        children = company.lists[name]
        assert isinstance(children, ChildList)
        for _, small in list(children.all())[:5]:
            for handle in list(small.handles())[:3]:
                found = children.find(small.id_of(handle))
                assert found is not None
                assert found.row(handle) == small.row(handle)


def test_an_id_contains_the_number_of_its_record() -> None:
    salt = make_salt(3, "alerts")
    for number in (0, 1, 77, 10**6, 2**51):
        record_id = make_id(salt, number, 1_700_000_000_000)
        assert len(record_id) == 26
        assert number_from_id(salt, record_id) == number
        assert number_from_id(make_salt(3, "actions"), record_id) is None
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
def test_parses_timestamps(text: str, ms: int | None) -> None:
    assert parse_moment(text) == ms


@pytest.mark.parametrize("text", ["2023-10-24T09:27:22.72Z", "2023-10-24T09:27:20Z", "2023-10-24T09:27:22.001Z"])
def test_formats_timestamps_as_the_api_does(text: str) -> None:
    ms = parse_moment(text)
    assert ms is not None
    assert format_moment(ms) == text


def test_times_of_records_have_fractions_of_varying_length() -> None:
    company = make_company()
    for name in ("incidents", "alerts", "actions", "escalations", "workflow_runs"):
        texts = [str(record["created_at"]).removesuffix("Z") for record in company.records(name)]
        assert {len(text.partition(".")[2]) for text in texts} >= {0, 2, 3, 6}, name


def test_a_varying_fraction_keeps_the_order_of_times() -> None:
    times = [1_700_000_000_000 + index * 137 for index in range(2000)]
    cut = [cut_fraction(ms) for ms in times]
    assert cut == sorted(cut)
    assert [parse_moment(format_record_time(ms)) for ms in times] == cut
    moments = [datetime.fromisoformat(format_record_time(ms)) for ms in times]
    assert moments == sorted(moments)


def test_some_times_that_are_not_set_are_in_the_year_1() -> None:
    company = make_company()
    for name, field in (("alerts", "resolved_at"), ("actions", "completed_at"), ("catalog_entries", "archived_at")):
        records = company.lists[name]
        lists = [records] if isinstance(records, RecordList) else [children for _, children in records.all()]
        values = [one.record(handle).get(field) for one in lists for handle in one.handles()]
        assert UNSET in values
        assert any(value not in (None, UNSET) for value in values)
        assert None in values
