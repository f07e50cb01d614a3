"""Other people's targets hold every stream, value for value, and no record twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from integration_tests.clients.singer.conftest import Hard
from integration_tests.clients.singer.targets import DuckDB, Jsonl, Postgres, Target, same
from integration_tests.support.tap import Catalog, Run, by_key, key_of
from sandbox import Sandbox

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module", params=["jsonl", "duckdb", "postgres"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, first: Run) -> Target:
    """A target that was given the whole first sync."""
    make: dict[str, Callable[[Path], Target]] = {
        "jsonl": Jsonl,
        "duckdb": DuckDB,
        "postgres": lambda _: Postgres(request.getfixturevalue("postgres")),
    }
    target = make[request.param](tmp_path_factory.mktemp("target"))
    assert target.load(first.stdout) == first.state
    return target


def test_the_tap_emits_hard_values_as_the_api_gave_them(first: Run, hard_sandbox: tuple[Sandbox, Hard]) -> None:
    _, hard = hard_sandbox
    for name, records in hard.items():
        emitted = by_key(first.records[name], ["id"])
        for record in records:
            assert emitted[(record["id"],)] == record


def test_every_stream_is_held_value_for_value(loaded: Target, first: Run, catalog: Catalog) -> None:
    streams = list(catalog.keys)
    assert set(first.records) == set(streams)
    assert loaded.tables() == set(streams)
    held = loaded.rows(streams)
    wrong = []
    for name in streams:
        rows, records = by_key(held[name], catalog.keys[name]), by_key(first.records[name], catalog.keys[name])
        assert rows.keys() == records.keys(), name
        columns = catalog.singer[name]["schema"]["properties"]
        wrong += [
            f"{name} {key} {column}: {rows[key].get(column)!r:.300} is not {record.get(column)!r:.300}"
            for key, record in records.items()
            for column, schema in columns.items()
            if not same(rows[key].get(column), record.get(column), schema)
            and not (loaded.empty_is_null and record.get(column) == "" and rows[key][column] is None)
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("loaded", ["duckdb", "postgres"], indirect=True)
def test_a_second_sync_leaves_no_record_twice(loaded: Target, second: Run, catalog: Catalog) -> None:
    """target-jsonl appends whatever comes."""
    assert second.counts["severities"] > 0
    before = loaded.rows(catalog.keys)
    assert loaded.load(second.stdout) == second.state
    for name, rows in loaded.rows(catalog.keys).items():
        keys = Counter(key_of(row, catalog.keys[name]) for row in rows)
        assert keys == Counter(key_of(row, catalog.keys[name]) for row in before[name])
        assert set(keys.values()) <= {1}
