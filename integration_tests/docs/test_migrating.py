"""docs/migrating.md agrees with the catalogs of the other connectors and of this one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import KEY
from integration_tests.docs.markdown import tables
from integration_tests.support.catalog import Catalog
from integration_tests.support.tap import SINGER, Tap
from sandbox import Sandbox

GUIDE = "docs/migrating.md"
# Names of streams, columns, keys and cursors from the manifest of Airbyte's connector, November 2026.
AIRBYTE: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("airbyte_source.json").read_text())


@pytest.fixture(scope="module")
def streams(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """The entries of the tap's `--discover`, by stream."""
    return catalog.singer


def named(cell: str) -> list[str]:
    """The inline code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def replication(stream: dict[str, Any]) -> str:
    if stream["replication_method"] == "FULL_TABLE":
        return "full refresh"
    key = stream.get("replication_key")
    return f"incremental by `{key}`" if key else "incremental by parent"


def test_lists_every_table_and_new_column_of_the_go_tap(reference: Path, streams: dict[str, dict[str, Any]]) -> None:
    theirs = {
        stream["tap_stream_id"]: stream for stream in json.loads((reference / "discover.json").read_text())["streams"]
    }
    rows = tables(GUIDE)[0]
    assert sorted(named(row["table"])[0] for row in rows) == sorted(theirs)
    differing = []
    for row in rows:
        [name] = named(row["table"])
        here, there = streams[name], theirs[name]["schema"]["properties"]
        columns = here["schema"]["properties"]
        assert set(there) <= set(columns)
        assert named(row["new columns"]) == sorted(set(columns) - set(there) - {"_undeclared"})
        assert named(row["key"]) == here["key_properties"]
        assert row["replication here"] == replication(here)
        differing += [f"{name}.{column}" for column in there if types(columns[column]) != types(there[column])]
    assert differing == []


def test_accepts_the_state_of_the_go_tap(shared_sandbox: Sandbox, catalog: Catalog, tmp_path: Path) -> None:
    """The format of its unreleased version, November 2026."""
    tap = Tap(SINGER, {"api_key": KEY, "endpoint": shared_sandbox.url, "full_read_days": 0}, tmp_path)
    selected = catalog.of(SINGER, ["follow_ups"])
    records = tap.read(selected).ok().records["follow_ups"]
    newest = max(record["updated_at"] for record in records)
    state = {
        "bookmarks": {"follow_ups": {"updated_at": newest[:19] + "Z"}, "actions": {"updated_at": newest[:19] + "Z"}}
    }
    changed = tap.read(selected, state).ok().records["follow_ups"]
    assert newest in {record["updated_at"] for record in changed}
    assert len(changed) < len(records)


def types(column: dict[str, Any]) -> tuple[set[str], str | None]:
    """A column's types, without null, and its format."""
    kinds = column["type"]
    return ({kinds} if isinstance(kinds, str) else set(kinds)) - {"null"}, column.get("format")


def test_lists_every_stream_and_new_column_of_airbytes_connector(streams: dict[str, dict[str, Any]]) -> None:
    rows = {named(row["its stream"])[0]: row for row in tables(GUIDE)[2]}
    assert sorted(rows) == sorted(AIRBYTE)
    missing = []
    for name, there in AIRBYTE.items():
        [table] = named(rows[name]["table here"])
        columns = set(streams[table]["schema"]["properties"])
        missing += [f"{table}.{column}" for column in there["columns"] if column not in columns]
        assert named(rows[name]["new columns"]) == sorted(columns - set(there["columns"]) - {"_undeclared"})
        assert named(rows[name]["key"]) == streams[table]["key_properties"]
        assert rows[name]["replication there"] == (
            f"incremental by `{there['cursor']}`" if there["cursor"] else "full refresh"
        )
        assert rows[name]["here"] == replication(streams[table])
    assert missing == ["catalog_types.semantic_type"]
