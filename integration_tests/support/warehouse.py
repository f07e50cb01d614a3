"""Compare a DuckDB file that a client loaded with the account, and change the account between two syncs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from integration_tests.support.account import WINDOW_STREAM, Account
from integration_tests.support.compare import Key, by_key, key_of, sort_nested, without_nulls
from integration_tests.support.tap import Record
from sandbox import Sandbox

Keys = Mapping[str, list[str]]


class Warehouse:
    """A schema in a DuckDB file.

    Args:
        database: path of the file.
        schema: name of the schema.
        keys: primary key of each stream.
        load_column: column whose value differs from load to load.
    """

    def __init__(self, database: Path, schema: str, keys: Keys, load_column: str = "") -> None:
        self.database = database
        self._schema = schema
        self._keys = keys
        self._load_column = load_column

    def rows(self, name: str) -> dict[Key, Record]:
        """Return the rows of a stream's table by key, after checking that no key is there twice."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            relation = connection.sql(f'SELECT * FROM {self._schema}."{name}"')  # noqa: S608
            rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
        rows_by_key = by_key(rows, self._keys[name])
        assert len(rows_by_key) == len(rows), f"{name}: a record is there twice"
        return rows_by_key

    def loads(self, names: Iterable[str]) -> dict[str, dict[Key, Any]]:
        """Return which load wrote each row, by stream and key."""
        return {name: {key: row[self._load_column] for key, row in self.rows(name).items()} for name in names}

    def assert_holds(self, sandbox: Sandbox, streams: Iterable[str]) -> None:
        """Check that the tables hold the records of the account with equal values, and no others."""
        account = Account(sandbox)
        for name in set(streams) - {WINDOW_STREAM}:
            expected, loaded = by_key(account.expected(name), self._keys[name]), self.rows(name)
            assert loaded.keys() == expected.keys(), f"{name}: {len(loaded)} loaded, {len(expected)} expected"
            for key, record in expected.items():
                row = sort_nested({column: _parse(loaded[key].get(column), value) for column, value in record.items()})
                ordered = sort_nested(record)
                wrong = [column for column, value in ordered.items() if not same_value(row[column], value)]
                assert not wrong, f"{name} {key}: {[(column, row[column], record[column]) for column in wrong]}"


def change_account(sandbox: Sandbox, keys: Keys) -> dict[str, set[Key]]:
    """Change some records of the account and add an alert.

    Returns:
        the keys of the changed and added records, by stream.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    texts = {"incidents": "summary", "follow_ups": "description", "alerts": "description", "escalations": "title"}
    account, changed = Account(sandbox), {}
    for name, text in texts.items():
        read = by_key(account.stream(name), keys[name])  # without records of test incidents
        records = [record for record in sandbox.records(name) if key_of(record, keys[name]) in read][:3]
        records = [{**record, text: "changed since", "updated_at": now} for record in records]
        if name == "alerts":
            records.append({**records[0], "id": "01NEW", "deduplication_key": "new", "created_at": now})
        sandbox.put(name, records)
        changed[name] = {key_of(record, keys[name]) for record in records}
    return changed


def same_value(loaded: Any, value: Any) -> bool:
    """Whether a column holds a value of the API. A null is equal to a missing key."""
    if isinstance(value, dict | list):
        return bool(without_nulls(json.loads(loaded) if isinstance(loaded, str) else loaded) == without_nulls(value))
    if isinstance(loaded, datetime):
        moment = datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        return loaded.replace(tzinfo=None) == moment
    return bool(loaded == value)


def _parse(loaded: Any, value: Any) -> Any:
    """Convert a column: JSON text to a list or object, Decimal to float, a timestamp with a zone to UTC."""
    if isinstance(loaded, Decimal):
        return float(loaded)
    if isinstance(loaded, datetime) and loaded.tzinfo:
        return loaded.astimezone(UTC)
    return json.loads(loaded) if isinstance(value, list | dict) and isinstance(loaded, str) else loaded
