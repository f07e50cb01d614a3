"""Run published Singer targets and read what they loaded."""

from __future__ import annotations

import csv
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

from integration_tests.support.postgres import Cluster
from integration_tests.support.tap import ROOT, SECONDS, Record

SCHEMA = "incident"


class Target(Protocol):
    empty_is_null: ClassVar[bool]
    """Whether the target stores an empty text as null."""

    def load(self, messages: bytes) -> Any:
        """Load a tap's output; return the last state that the target printed."""

    def tables(self) -> set[str]: ...

    def rows(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        """Return the rows of some streams as JSON values with exact numbers. The target adds columns _sdc_*."""


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
    # The target loads through a CSV file, where both are an empty field.
    empty_is_null = True
    directory: Path

    @property
    def _database(self) -> str:
        return str(self.directory / "warehouse.duckdb")

    def load(self, messages: bytes) -> Any:
        # Without metadata columns the target can mistake the first row for a header.
        config = {"path": self._database, "default_target_schema": SCHEMA, "add_metadata_columns": True}
        return _load(".venv-targets/bin/target-duckdb", messages, _file(self.directory / "config.json", config))

    def tables(self) -> set[str]:
        with duckdb.connect(self._database, read_only=True) as connection:
            return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}

    def rows(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        rows = {}
        with duckdb.connect(self._database, read_only=True) as connection:
            for name in streams:
                relation = connection.sql(f'SELECT * FROM {SCHEMA}."{name}"')  # noqa: S608
                rows[name] = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
        return rows


@dataclass
class Csv:
    """meltanolabs-target-csv, with new files for each sync. By default it replaces the files."""

    empty_is_null = True
    directory: Path

    def load(self, messages: bytes) -> Any:
        config = {"output_path": str(self.directory), "file_naming_scheme": "{stream_name}-{timestamp}.csv"}
        return _load(".venv-csv/bin/target-csv", messages, _file(self.directory / "config.json", config))

    def tables(self) -> set[str]:
        return {path.name.partition("-")[0] for path in self.directory.glob("*.csv")}

    def rows(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        """Return the rows of all files of a stream."""
        found: dict[str, list[Record]] = {name: [] for name in streams}
        for name, rows in found.items():
            for path in self.directory.glob(f"{name}-*.csv"):
                with path.open(newline="") as file:
                    rows += [dict(row) for row in csv.DictReader(file)]
        return found


@dataclass
class Postgres:
    empty_is_null = False
    cluster: Cluster
    schema: str = SCHEMA
    hard_delete: bool = False
    validate_records: bool = True

    def load(self, messages: bytes) -> Any:
        settings = {
            "DEFAULT_TARGET_SCHEMA": self.schema,
            "HARD_DELETE": str(self.hard_delete).lower(),
            "VALIDATE_RECORDS": str(self.validate_records).lower(),
        }
        for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE"):
            settings[name] = self.cluster.environment[f"PG{name}"]
        environment = {f"TARGET_POSTGRES_{name}": value for name, value in settings.items()}
        return _load(".venv-postgres/bin/target-postgres", messages, "ENV", {**environment, "PGTZ": "UTC"})

    def tables(self) -> set[str]:
        return self.cluster.tables(self.schema)

    def rows(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        return self.cluster.rows(self.schema, streams)


def same_value(loaded: Any, value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a column holds a value of the API.

    Timestamps of a database have no zone and are in UTC. A list or an object can be JSON text.
    """
    if value is None or loaded is None:
        return value is None and loaded is None
    if schema.get("format") == "date-time":
        moment = loaded if isinstance(loaded, datetime) else datetime.fromisoformat(loaded)
        return _utc(moment) == _utc(datetime.fromisoformat(value))
    if isinstance(value, dict | list) and isinstance(loaded, str):
        loaded = json.loads(loaded, parse_float=Decimal)
    return _exact(loaded) == _exact(value)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _exact(value: Any) -> Any:
    """Return the value with numbers as Decimal, and with booleans that differ from numbers."""
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return (type(value), value)
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _load(program: str, messages: bytes, config: str, environment: Mapping[str, str] | None = None) -> Any:
    process = subprocess.run(
        [ROOT / program, "--config", config],
        input=messages,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        timeout=SECONDS,
    )
    assert process.returncode == 0, process.stderr.decode()[-3000:]
    states = process.stdout.splitlines()
    return json.loads(states[-1]) if states else None


def _file(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document))
    return str(path)
