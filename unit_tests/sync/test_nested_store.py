"""The store of nested records."""

import asyncio
import sqlite3

from source_incident.api import TransientError
from source_incident.sync.nested_store import NestedStore, StorageFullError


def test_a_full_temporary_directory_ends_the_wait_for_the_records() -> None:
    store = NestedStore()
    store._database().execute("PRAGMA max_page_count = 3")
    store.add_page({"incident_id": f"{number}", "id": "u", "text": "t" * 500} for number in range(500))
    assert isinstance(store.error, StorageFullError)
    assert "TMPDIR" in store.error.message
    assert store.complete.is_set()
    assert not isinstance(store.error, sqlite3.Error)
    store.close()


def test_a_record_that_comes_twice_counts_once() -> None:
    store = NestedStore()
    store.add_page([{"incident_id": "i", "id": "1", "n": 1}, {"incident_id": "j", "id": "1"}])
    store.add_page([{"incident_id": "i", "id": "2"}, {"incident_id": "i", "id": "1", "n": 2}])
    assert sorted(store.records_of("i"), key=lambda record: str(record["id"])) == [
        {"incident_id": "i", "id": "1", "n": 2},
        {"incident_id": "i", "id": "2"},
    ]
    assert store.records_of("k") == []
    assert store.pages == 2
    store.close()


def test_is_complete_when_all_scans_have_ended_or_one_has_failed() -> None:
    async def run() -> None:
        store = NestedStore(scans=2)
        store.scan_ended()
        assert not store.complete.is_set()
        store.scan_ended()
        assert store.complete.is_set()
        failed = NestedStore(scans=2)
        failed.scan_ended(error := TransientError("503"))
        assert failed.complete.is_set()
        assert failed.error is error

    asyncio.run(run())
