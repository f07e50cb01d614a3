"""What a destination must hold of an account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integration_tests.soak.simulation.account import Account, Row
from integration_tests.soak.simulation.declarations import declarations
from integration_tests.soak.simulation.draw import SINGER, Plan
from source_incident.timestamps import parse_timestamp

# The time of calculation is another one at every request.
IGNORED_COLUMNS = ("data_synced_at",)
UNDECLARED = "_undeclared"


class Expectation:
    """The rows that a destination must hold now."""

    def __init__(self, account: Account, plan: Plan) -> None:
        self._account = account
        self._plan = plan

    def data(self, row: Row) -> dict[str, Any]:
        """The row of a record."""
        data = self._emitted(row)
        if row.stream == "incidents":
            for column in declarations()["incidents"].nested.keys() & self._plan.nested:
                data[column] = self._nested(row, column)
        return self.normalized(row.stream, self._projected(row.stream, data))

    def normalized(self, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """A row without what may differ: nulls, and the order of nested records."""
        result = {key: value for key, value in data.items() if value is not None and key not in IGNORED_COLUMNS}
        for column in declarations()[name].nested.keys() & result.keys():
            records = [
                {key: value for key, value in record.items() if value is not None and not key.startswith("new_field")}
                for record in result[column]
            ]
            result[column] = sorted(records, key=lambda record: str(record["id"]))
        return result

    def is_in_scope(self, row: Row, now: datetime) -> bool:
        """Whether the settings select the record."""
        if not self.has_mode(row, self._plan.modes):
            return False
        if row.stream == "schedule_entries":
            away = parse_timestamp(row.data["start_at"]) - now
            return abs(away.total_seconds()) < 29 * 86400
        return not self.is_older_than_start(row)

    @staticmethod
    def has_mode(row: Row, modes: tuple[str, ...]) -> bool:
        """Whether the record's incident has one of the modes, or the list has none."""
        owner = row.incident or row.root
        return row.root.stream not in ("incidents", "actions", "follow_ups") or (owner.mode or "standard") in modes

    def is_older_than_start(self, row: Row) -> bool:
        cursor = row.root.declaration.cursor_field
        if self._plan.start_date is None or cursor is None:
            return False
        return parse_timestamp(row.root.data[cursor]) < self._plan.start_date

    def _emitted(self, row: Row) -> dict[str, Any]:
        stream = row.declaration.stream
        # No plan selects columns of single records.
        data = {name: value for name, value in row.data.items() if name not in stream.detail_columns}
        for field in stream.extra_fields:
            data.setdefault(field, row.id)
        if stream.record_list_field:
            data[stream.record_list_field] = row.list_name
        if stream.position_field and row.parent:
            siblings = sorted(row.parent.children[row.stream].values(), key=self._account.sort_key)
            data[stream.position_field] = siblings.index(row)
        return {**row.parent_ids(), **data}

    def _nested(self, incident: Row, column: str) -> list[dict[str, Any]] | None:
        nested = declarations()["incidents"].nested[column]
        rows = self._account.rows[nested.name].values()
        records = [self._emitted(row) for row in rows if incident in (row.incident, row.parent)]
        return records or None

    def _projected(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        """In Singer, fields that the schema lacks are not emitted as columns."""
        properties = declarations()[name].schema["properties"]
        unknown = {key: value for key, value in data.items() if key not in properties}
        known = {key: value for key, value in data.items() if key in properties}
        if UNDECLARED in properties:
            return {**known, **({UNDECLARED: unknown} if unknown else {})}
        return known if self._plan.protocol == SINGER else data
