"""Rows that were deleted in incident.io leave the tables of published targets, and no other row does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from integration_tests.clients.singer.targets import SCHEMA, Csv, DuckDB, Jsonl, Postgres
from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import by_key
from integration_tests.support.postgres import Cluster
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import ROOT, SINGER, Record, Run, Tap
from integration_tests.support.versions import activations, cut, full_read_is_due, versions
from sandbox import Sandbox

STREAMS = ["alerts", "custom_field_options", "severities", "users"]
MARK = "_sdc_deleted_at"

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1800)]


@pytest.fixture
def sandbox(new_sandbox: StartSandbox) -> Sandbox:
    return new_sandbox(alerts=160)


@pytest.fixture
def tap(sandbox: Sandbox, tmp_path: Path) -> Tap:
    return Tap(SINGER, {"api_key": sandbox.key, "endpoint": sandbox.url}, tmp_path / "tap")


@pytest.fixture
def selected(catalog: Catalog) -> Any:
    return catalog.of(SINGER, STREAMS)


@pytest.mark.parametrize("hard", [False, True])
def test_target_postgres_marks_or_removes_them(
    hard: bool, sandbox: Sandbox, tap: Tap, selected: Any, catalog: Catalog, postgres: Cluster
) -> None:
    target = Postgres(postgres, f"deleted_{hard}".lower(), hard_delete=hard)
    state = target.load(tap.read(selected).ok().stdout)
    assert living(target, catalog) == keys_of(sandbox, catalog)

    deleted = delete_some(sandbox)
    state = target.load(tap.read(selected, full_read_is_due(state, "alerts")).ok().stdout)
    assert living(target, catalog) == keys_of(sandbox, catalog)
    rows = target.rows(STREAMS)
    marked = {name: [row for row in rows[name] if row.get(MARK)] for name in STREAMS}
    for name, records in deleted.items():
        assert len(marked[name]) == (0 if hard else len(records))

    # A record that returns is no longer marked.
    sandbox.put("users", deleted["users"])
    target.load(tap.read(selected, state).ok().stdout)
    assert living(target, catalog) == keys_of(sandbox, catalog)


def test_a_killed_sync_removes_no_row_that_exists(
    sandbox: Sandbox, tap: Tap, selected: Any, catalog: Catalog, postgres: Cluster
) -> None:
    """The target removes rows for good. The resumed sync starts from the state that the target printed."""
    target = Postgres(postgres, "killed", hard_delete=True)
    state = target.load(tap.read(selected).ok().stdout)
    for name in ("first state", "last record", "first activation", "last activation", "last state"):
        delete_some(sandbox)
        run = tap.read(selected, full_read_is_due(state, "alerts")).ok()
        printed = target.load(cut(run, kill_points(run)[name]).stdout)
        for stream, keys in keys_of(sandbox, catalog).items():
            assert keys <= living(target, catalog)[stream], f"{name}: {stream}"
        # A target prints no state of its own where it got none before a record.
        state = target.load(tap.read(selected, printed or full_read_is_due(state, "alerts")).ok().stdout)
        assert living(target, catalog) == keys_of(sandbox, catalog), name


def test_a_stream_that_fails_removes_nothing(
    sandbox: Sandbox, tap: Tap, selected: Any, catalog: Catalog, postgres: Cluster
) -> None:
    target = Postgres(postgres, "failed", hard_delete=True)
    state = target.load(tap.read(selected).ok().stdout)
    before = living(target, catalog)
    delete_some(sandbox)
    sandbox.config(fault=["500:path=/v2/alerts,query=after=", "500:path=/v1/severities"])
    failed = tap.read(selected, full_read_is_due(state, "alerts"), max_retries=0)
    assert failed.code == 1
    printed = target.load(failed.stdout)
    after = living(target, catalog)
    for stream in ("alerts", "severities"):
        assert after[stream] == before[stream]
    sandbox.config(fault=[])
    target.load(tap.read(selected, printed).ok().stdout)
    assert living(target, catalog) == keys_of(sandbox, catalog)


@pytest.mark.parametrize("hard", [False, True])
def test_a_table_of_the_go_tap_is_taken_over(
    hard: bool, sandbox: Sandbox, tap: Tap, catalog: Catalog, postgres: Cluster, reference: Path
) -> None:
    """With the Go tap's catalog, which reads every stream in full. Its records have no version."""
    names = ["alerts", "incidents", "severities"]
    document = json.loads((reference / "test_catalog.json").read_text())
    document["streams"] = [entry for entry in document["streams"] if entry["tap_stream_id"] in names]
    # The Go tap's schema has a number where the API has a text: value_numeric of a custom field.
    target = Postgres(postgres, f"taken_over_{hard}".lower(), hard_delete=hard, validate_records=False)
    old = tap.read(document, activate_versions=False).ok()
    assert all(versions(old, name) == {None} for name in names)
    target.load(old.stdout)
    deleted = delete_some(sandbox, ["alerts", "severities"])
    new = tap.read(document).ok()
    assert activations(new).keys() == set(names)
    target.load(new.stdout)
    assert living(target, catalog, names) == keys_of(sandbox, catalog, names)
    rows = target.rows(names)
    for name, records in deleted.items():
        assert sum(1 for row in rows[name] if row.get(MARK)) == (0 if hard else len(records))


def test_rows_of_a_stream_with_a_column_named_version_leave_with_the_documented_query(
    sandbox: Sandbox, tap: Tap, catalog: Catalog, postgres: Cluster
) -> None:
    target = Postgres(postgres, "column_version")
    names = ["workflows"]
    state = target.load(tap.read(catalog.of(SINGER, names)).ok().stdout)
    assert delete_some(sandbox, names)
    before = living(target, catalog, names)
    run = tap.read(catalog.of(SINGER, names), state).ok()
    assert not activations(run)
    target.load(run.stdout)
    assert living(target, catalog, names) == before
    (query,) = re.findall(r"DELETE FROM incident\.workflows\n.*;", (ROOT / "deploying.md").read_text())
    postgres.lines(query.replace("incident.", "column_version."))
    assert living(target, catalog, names) == keys_of(sandbox, catalog, names)


def test_target_duckdb_keeps_them_until_the_documented_query(
    sandbox: Sandbox, tap: Tap, selected: Any, catalog: Catalog, tmp_path: Path
) -> None:
    target = DuckDB(tmp_path)
    state = target.load(tap.read(selected).ok().stdout)
    before = living(target, catalog)
    delete_some(sandbox)
    run = tap.read(selected, full_read_is_due(state, "alerts")).ok()
    target.load(run.stdout)
    assert living(target, catalog) == before
    (query,) = re.findall(r"DELETE FROM .*_sdc_extracted_at.*;", (ROOT / "deploying.md").read_text())
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(f"USE {SCHEMA}")
        for stream, version in activations(run).items():
            connection.execute(query.replace("users", stream).replace("1795543436177", str(version)))
    assert living(target, catalog) == keys_of(sandbox, catalog)


@pytest.mark.parametrize("make", [Jsonl, Csv])
def test_targets_that_append_ignore_the_message(
    make: Any, sandbox: Sandbox, tap: Tap, selected: Any, catalog: Catalog, tmp_path: Path
) -> None:
    target = make(tmp_path)
    first = tap.read(selected).ok()
    assert target.load(first.stdout) == first.state
    assert {name: by_key(rows, catalog.keys[name]).keys() for name, rows in target.rows(STREAMS).items()} == keys_of(
        sandbox, catalog
    )
    deleted = delete_some(sandbox)
    second = tap.read(selected, first.state).ok()
    assert target.load(second.stdout) == second.state
    for name, rows in target.rows(STREAMS).items():
        assert len(rows) == first.counts[name] + second.counts.get(name, 0)
        assert {record["id"] for record in deleted[name]} <= {row["id"] for row in rows}


def living(target: Any, catalog: Catalog, names: list[str] = STREAMS) -> dict[str, Any]:
    """Return the keys of the rows that are not marked as deleted, by stream."""
    return {
        name: by_key([row for row in rows if not row.get(MARK)], catalog.keys[name]).keys()
        for name, rows in target.rows(names).items()
    }


def keys_of(sandbox: Sandbox, catalog: Catalog, names: list[str] = STREAMS) -> dict[str, Any]:
    """Return the keys of the records that incident.io has, by stream."""
    account = Account(sandbox)
    return {name: by_key(account.stream(name), catalog.keys[name]).keys() for name in names}


def delete_some(sandbox: Sandbox, names: list[str] = STREAMS) -> dict[str, list[Record]]:
    """Delete a record of each stream that has two or more; return them."""
    deleted = {}
    for name in names:
        snapshot = sandbox.snapshot(name)
        if snapshot["count"] < 2:
            continue
        record = snapshot["records"][-1]
        parents = snapshot["parents"][-1] if "parents" in snapshot else None
        assert sandbox.delete(name, [record["id"]], parents) == 1
        deleted[name] = [record]
    return deleted


def kill_points(run: Run) -> dict[str, int]:
    """Return the number of messages up to some points of a run."""
    kinds = [message["type"] for message in run.messages]
    activated = list(_positions(kinds, "ACTIVATE_VERSION"))
    return {
        "first state": kinds.index("STATE") + 1,
        "last record": max(_positions(kinds, "RECORD")) + 1,
        "first activation": activated[0] + 1,
        "last activation": activated[-1] + 1,
        "last state": max(_positions(kinds, "STATE")),
    }


def _positions(kinds: list[str], kind: str) -> Iterator[int]:
    return (number for number, found in enumerate(kinds) if found == kind)
