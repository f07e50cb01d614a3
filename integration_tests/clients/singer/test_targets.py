"""Published targets store every stream with equal values and without duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from integration_tests.clients.singer.edge_cases import EdgeCases
from integration_tests.clients.singer.targets import DuckDB, Jsonl, Postgres, Target, same_value
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import by_key, key_of
from integration_tests.support.tap import Run
from sandbox import Sandbox

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module", params=["jsonl", "duckdb", "postgres"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, first: Run) -> Target:
    """A target that loaded the first sync."""
    make: dict[str, Callable[[Path], Target]] = {
        "jsonl": Jsonl,
        "duckdb": DuckDB,
        "postgres": lambda _: Postgres(request.getfixturevalue("postgres")),
    }
    target = make[request.param](tmp_path_factory.mktemp("target"))
    assert target.load(first.stdout) == first.state
    return target


def test_emits_edge_cases_unchanged(first: Run, edge_case_sandbox: tuple[Sandbox, EdgeCases]) -> None:
    _, edge_cases = edge_case_sandbox
    for name, records in edge_cases.items():
        emitted = by_key(first.records[name], ["id"])
        for record in records:
            assert emitted[(record["id"],)] == record


def test_stores_every_stream_with_equal_values(loaded: Target, first: Run, catalog: Catalog) -> None:
    streams = list(catalog.keys)
    assert set(first.records) == set(streams)
    assert loaded.tables() == set(streams)
    rows_of = loaded.rows(streams)
    wrong = []
    for name in streams:
        rows, records = by_key(rows_of[name], catalog.keys[name]), by_key(first.records[name], catalog.keys[name])
        assert rows.keys() == records.keys(), name
        columns = catalog.singer[name]["schema"]["properties"]
        wrong += [
            f"{name} {key} {column}: {rows[key].get(column)!r:.300} is not {record.get(column)!r:.300}"
            for key, record in records.items()
            for column, schema in columns.items()
            if not same_value(rows[key].get(column), record.get(column), schema)
            and not (loaded.empty_is_null and record.get(column) == "" and rows[key][column] is None)
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("loaded", ["duckdb", "postgres"], indirect=True)
def test_a_second_sync_adds_no_duplicates(loaded: Target, second: Run, catalog: Catalog) -> None:
    """target-jsonl is excluded because it appends every record."""
    assert second.counts["severities"] > 0
    before = loaded.rows(catalog.keys)
    assert loaded.load(second.stdout) == second.state
    for name, rows in loaded.rows(catalog.keys).items():
        keys = Counter(key_of(row, catalog.keys[name]) for row in rows)
        assert keys == Counter(key_of(row, catalog.keys[name]) for row in before[name])
        assert set(keys.values()) <= {1}
