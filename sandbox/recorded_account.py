"""A recorded account, read from a directory.

A file `<list>.json` has a list's records as an array. A list without a file is empty. incident.io's
own tap nests attachments and updates in their incidents; they are moved to the lists where the API
serves them. All other values are served unchanged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from sandbox.account import Body, extra_keys, parents_exist
from sandbox.contract import Contract, Endpoint
from sandbox.ids import make_salt
from sandbox.lists import NEWEST_FIRST, ChildList, FixedSource, Record, RecordList, incident_mode_column
from sandbox.options import Options
from sandbox.times import Clock, parse_moment

_NESTED = {"attachments": "incident_attachments", "updates": "incident_updates"}


class RecordedAccount:
    """The account recorded in the directory `options.data`."""

    def __init__(self, contract: Contract, options: Options, clock: Clock) -> None:
        """Raises ValueError if the directory does not exist or a file in it has another format."""
        self.contract = contract
        self.options = options
        self.clock = clock
        self.lists: dict[str, RecordList | ChildList] = {}
        self.bodies: dict[str, Body] = {}
        directory = Path(options.data or "")
        if not directory.is_dir():
            raise ValueError(f"data: {directory} is not a directory")
        self._records = {path.stem: _read(path) for path in sorted(directory.glob("*.json"))}
        self._move_nested_records()
        self._add_alert_groups()
        for endpoint in (*contract.endpoints.values(), contract.alert_group_notes):
            self._add(endpoint)

    def _move_nested_records(self) -> None:
        for incident in self._records.get("incidents", ()):
            for column, name in _NESTED.items():
                if column not in incident:
                    continue
                records = self._records.setdefault(name, [])
                known = {record["id"] for record in records}
                for nested in incident.pop(column) or ():
                    if nested["id"] not in known:
                        records.append({"incident_id": incident["id"], **nested})

    def _add_alert_groups(self) -> None:
        """The groups that alerts name, and the notes on them."""
        alerts, notes = self._records.get("alerts", ()), self._records.get("alert_notes", ())
        groups = dict.fromkeys(group for alert in alerts for group in alert.get("alert_group_ids") or ())
        self.lists["alert_groups"] = RecordList(
            "alert_groups", self._source("alert_groups", [{"id": group} for group in groups])
        )
        self._records["alert_group_notes"] = [note for note in notes if note.get("alert_group_id")]

    def _add(self, endpoint: Endpoint) -> None:
        name = endpoint.name
        if name in self.lists or name in self.bodies:
            return
        parents = []
        for parameter, parent in endpoint.parents:
            if parent not in self.lists:
                self._add(self.contract.endpoints[parent])
            parents.append((parameter, self.lists[parent]))
        if endpoint.records_key is None:
            self.bodies[name] = RecordedBody(self, endpoint, parents)
        elif parents:
            self.lists[name] = ChildList(
                name,
                parents,
                lambda name, ids: self._children(name, endpoint, ids),
                lambda child_id: self._parent_ids(name, endpoint, child_id),
            )
        else:
            records = self._records.get(name, [])
            newest_first = name in NEWEST_FIRST
            if newest_first:
                records = sorted(records, key=_created)
            self.lists[name] = RecordList(
                name,
                self._source(name, records),
                newest_first=newest_first,
                derived=incident_mode_column(self.lists),
            )

    def _source(self, name: str, records: list[Record]) -> FixedSource:
        return FixedSource.from_records(make_salt(self.options.seed, name), records)

    def _children(self, name: str, endpoint: Endpoint, parent_ids: tuple[str, ...]) -> RecordList:
        parameters = [parameter for parameter, _ in endpoint.parents]
        records = [
            record
            for record in self._records.get(name, ())
            if all(
                record.get(parameter) == parent_id for parameter, parent_id in zip(parameters, parent_ids, strict=True)
            )
        ]
        return RecordList(name, self._source(name, records))

    def _parent_ids(self, name: str, endpoint: Endpoint, child_id: str) -> tuple[str, ...] | None:
        for record in self._records.get(name, ()):
            if record.get("id") == child_id:
                return tuple(str(record.get(parameter)) for parameter, _ in endpoint.parents)
        return None

    def extra_keys(self, endpoint: Endpoint, parent_ids: tuple[str, ...]) -> Record:
        """`catalog_type` and `metadata`, for an endpoint whose body has them."""
        return extra_keys(self, endpoint, parent_ids, metadata={})

    def has_notes(self, alert_id: str) -> bool:
        notes = self.lists.get("alert_notes")
        changed = notes.changed_children((alert_id,)) if isinstance(notes, ChildList) else None
        if changed is not None:
            return len(changed) > 0
        return any(note.get("alert_id") == alert_id for note in self._records.get("alert_notes", ()))


class RecordedBody:
    """An endpoint that answers with one object. It has the required keys, with empty lists."""

    def __init__(
        self,
        account: RecordedAccount,
        endpoint: Endpoint,
        parents: list[tuple[str, RecordList | ChildList]],
    ) -> None:
        self._account = account
        self._endpoint = endpoint
        self._parents = parents

    def get(self, parent_ids: tuple[str, ...]) -> Record | None:
        """The body; None if a parent does not exist, or a required value can't be empty."""
        if not parents_exist(self._parents, parent_ids):
            return None
        return self._empty(self._endpoint.response)

    def _empty(self, schema: dict[str, Any]) -> Record | None:
        resolved = self._account.contract.resolve(schema)
        body: Record = {}
        for key in resolved.get("required", ()):
            value = self._account.contract.resolve(resolved["properties"][key])
            if value.get("type") == "array":
                body[key] = []
            elif value.get("type") == "object" and (inner := self._empty(value)) is not None:
                body[key] = inner
            else:
                return None
        return body or None


def _created(record: Record) -> int:
    return parse_moment(str(record.get("created_at"))) or 0


def _read(path: Path) -> list[Record]:
    try:
        records = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{path}: not an array of objects")
    return records
