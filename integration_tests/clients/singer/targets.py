"""Singer targets of other people's, as they are published: what they are given, and what they then hold."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Protocol

import duckdb

from integration_tests.clients.singer.postgres import Cluster
from integration_tests.support.tap import ROOT, SECONDS, Record

SCHEMA = "incident"


class Target(Protocol):
    empty_is_null: ClassVar[bool]
    """Whether it holds an empty text as null."""

    def load(self, messages: bytes) -> Any:
        """Loads a tap's output; the last state that the target printed."""

    def tables(self) -> set[str]: ...

    def rows(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        """What it holds of some streams, in values of JSON, numbers exact; what begins with _sdc_ is its own."""


@dataclass
class Jsonl:
    empty_is_null = False
    directory: Path

    def load(self, messages: bytes) -> Any:
        config = {"destination_path": str(self.directory), "do_timestamp_file": False}
        return _load(".venv-singer/bin/target-jsonl", messages, _file(self.directory / "config.json", config))

    def tables(self) -> set[str]:
        return {path.stem for path in self.directory.glob("*.jsonl")}

    def rows(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        return {
            name: [
                json.loads(line, parse_float=Decimal)
                for line in (self.directory / f"{name}.jsonl").read_text().split("\n")[:-1]
            ]
            for name in streams
        }


@dataclass
class DuckDB:
    # It loads through a CSV file, where it writes both as nothing.
    empty_is_null = True
    directory: Path

    @property
    def _database(self) -> str:
        return str(self.directory / "warehouse.duckdb")

    def load(self, messages: bytes) -> Any:
        # The metadata columns tell the target's CSV reader a first row from a header.
        config = {"path": self._database, "default_target_schema": SCHEMA, "add_metadata_columns": True}
        return _load(".venv-targets/bin/target-duckdb", messages, _file(self.directory / "config.json", config))

    def tables(self) -> set[str]:
        with duckdb.connect(self._database, read_only=True) as connection:
            return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}

    def rows(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        found = {}
        with duckdb.connect(self._database, read_only=True) as connection:
            for name in streams:
                relation = connection.sql(f'SELECT * FROM {SCHEMA}."{name}"')  # noqa: S608
                found[name] = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
        return found


@dataclass
class Postgres:
    empty_is_null = False
    cluster: Cluster

    def load(self, messages: bytes) -> Any:
        given = {"DEFAULT_TARGET_SCHEMA": SCHEMA}
        for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE"):
            given[name] = self.cluster.environment[f"PG{name}"]
        environment = {f"TARGET_POSTGRES_{name}": value for name, value in given.items()}
        return _load(".venv-postgres/bin/target-postgres", messages, "ENV", {**environment, "PGTZ": "UTC"})

    def tables(self) -> set[str]:
        return self.cluster.tables(SCHEMA)

    def rows(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        return self.cluster.rows(SCHEMA, streams)


def same(held: Any, value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a column holds a value of the API.

    A database's moment has no zone, and is of UTC; a list or an object can be a text of JSON.
    """
    if value is None or held is None:
        return value is None and held is None
    if schema.get("format") == "date-time":
        moment = held if isinstance(held, datetime) else datetime.fromisoformat(held)
        return _utc(moment) == _utc(datetime.fromisoformat(value))
    if isinstance(value, dict | list) and isinstance(held, str):
        held = json.loads(held, parse_float=Decimal)
    return _exact(held) == _exact(value)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _exact(value: Any) -> Any:
    """The value with numbers that are the same only if all their digits are, and true and false no numbers."""
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return (type(value), value)
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _load(program: str, messages: bytes, config: str, environment: Mapping[str, str] | None = None) -> Any:
    done = subprocess.run(
        [ROOT / program, "--config", config],
        input=messages,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _file(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document))
    return str(path)
