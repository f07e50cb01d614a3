"""A DuckDB file that a client loads, against the account; and what changes in that between two syncs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from integration_tests.streams.test_all_streams import OF_A_WINDOW, held_of
from integration_tests.support.account import Account
from integration_tests.support.compare import normal
from integration_tests.support.tap import Key, Record, by_key, key_of
from integration_tests.sync.test_target import same
from sandbox import Sandbox

Keys = Mapping[str, list[str]]


class Warehouse:
    """A schema of a DuckDB file.

    Args:
        mark: the column that tells one load of a row from another.
    """

    def __init__(self, database: Path, schema: str, mark: str, keys: Keys) -> None:
        self.database = database
        self._schema = schema
        self._mark = mark
        self._keys = keys

    def rows(self, name: str) -> dict[Key, Record]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            relation = connection.sql(f'SELECT * FROM {self._schema}."{name}"')  # noqa: S608
            rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
        found = by_key(rows, self._keys[name])
        assert len(found) == len(rows), f"{name}: a record is there twice"
        return found

    def marks(self, names: Iterable[str]) -> dict[str, dict[Key, Any]]:
        """By stream and key, which load a row is of."""
        return {name: {key: row[self._mark] for key, row in self.rows(name).items()} for name in names}

    def assert_holds(self, sandbox: Sandbox, streams: Iterable[str]) -> None:
        """Every record of the account, value for value, and no other."""
        account = Account(sandbox)
        for name in set(streams) - {OF_A_WINDOW}:
            held, came = by_key(held_of(name, sandbox, account), self._keys[name]), self.rows(name)
            assert came.keys() == held.keys(), f"{name}: {len(came)} came, {len(held)} are held"
            for key, record in held.items():
                row = normal({column: _parsed(came[key].get(column), value) for column, value in record.items()})
                wrong = [column for column, value in normal(record).items() if not same(row[column], value)]
                assert not wrong, f"{name} {key}: {[(column, row[column], record[column]) for column in wrong]}"


def change(sandbox: Sandbox, keys: Keys) -> dict[str, set[Key]]:
    """Changes some records of the account, and adds one.

    Returns:
        the keys of those, by stream.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    texts = {"incidents": "summary", "follow_ups": "description", "alerts": "description", "escalations": "title"}
    account, changed = Account(sandbox), {}
    for name, text in texts.items():
        read = by_key(account.stream(name), keys[name])  # not those of test incidents
        records = [record for record in sandbox.records(name) if key_of(record, keys[name]) in read][:3]
        records = [{**record, text: "changed since", "updated_at": now} for record in records]
        if name == "alerts":
            records.append({**records[0], "id": "01NEW", "deduplication_key": "new", "created_at": now})
        sandbox.put(name, records)
        changed[name] = {key_of(record, keys[name]) for record in records}
    return changed


def _parsed(held: Any, value: Any) -> Any:
    """A list or an object that is held as a text of JSON; a number as a decimal one; a moment in some zone."""
    if isinstance(held, Decimal):
        return float(held)
    if isinstance(held, datetime) and held.tzinfo:
        return held.astimezone(UTC)
    return json.loads(held) if isinstance(value, list | dict) and isinstance(held, str) else held
