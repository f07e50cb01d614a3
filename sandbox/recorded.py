"""An account that was recorded: its record lists, read from a directory.

Files are named `<records>.json`, an array each, values untouched; a list without a file is empty.
incident.io's own tap wrote an incident's attachments and updates into the incident: here they are
taken out again, to be served where the API serves them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from .company import NEWEST_FIRST
from .contract import Contract, Endpoint
from .ids import salt_of
from .lists import ChildList, FixedSource, Record, RecordList, mode_of_incident
from .options import Options
from .times import Clock, parse_moment

_NESTED = {"attachments": "incident_attachments", "updates": "incident_updates"}


class RecordedAccount:
    """`lists` and `bodies` are what the API serves, by the list's name."""

    def __init__(self, contract: Contract, options: Options, clock: Clock) -> None:
        """ValueError when the directory or a file in it is not what it should be."""
        self.contract = contract
        self.options = options
        self.clock = clock
        self.lists: dict[str, RecordList | ChildList] = {}
        self.bodies: dict[str, RecordedBody] = {}
        directory = Path(options.data or "")
        if not directory.is_dir():
            raise ValueError(f"not a directory: {directory}")
        self._records = {path.stem: _read(path) for path in sorted(directory.glob("*.json"))}
        self._unnest()
        for endpoint in contract.endpoints.values():
            self._add(endpoint)

    def _unnest(self) -> None:
        for incident in self._records.get("incidents", ()):
            for column, name in _NESTED.items():
                if column not in incident:
                    continue
                records = self._records.setdefault(name, [])
                known = {record["id"] for record in records}
                for nested in incident.pop(column) or ():
                    if nested["id"] not in known:
                        records.append({"incident_id": incident["id"], **nested})

    def _add(self, endpoint: Endpoint) -> None:
        name = endpoint.name
        if name in self.lists or name in self.bodies:
            return
        parents = []
        for parameter, of in endpoint.parents:
            if of not in self.lists:
                self._add(self.contract.endpoints[of])
            parents.append((parameter, self.lists[of]))
        if endpoint.records_key is None:
            self.bodies[name] = RecordedBody(self, endpoint, parents)
        elif parents:
            self.lists[name] = ChildList(
                name,
                parents,
                lambda name, ids: self._children(name, endpoint, ids),
                lambda child_id: self._parents_of(name, endpoint, child_id),
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
                derived=mode_of_incident(self.lists),
            )

    def _source(self, name: str, records: list[Record]) -> FixedSource:
        return FixedSource.of(salt_of(self.options.seed, name), records)

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

    def _parents_of(self, name: str, endpoint: Endpoint, child_id: str) -> tuple[str, ...] | None:
        for record in self._records.get(name, ()):
            if record.get("id") == child_id:
                return tuple(str(record.get(parameter)) for parameter, _ in endpoint.parents)
        return None

    def extras(self, endpoint: Endpoint, parent_ids: tuple[str, ...]) -> Record:
        """What an answer holds beside its records."""
        made: Record = {}
        if "catalog_type" in endpoint.keys:
            types = self.lists["catalog_types"]
            assert isinstance(types, RecordList)
            handle = types.find(parent_ids[0])
            made["catalog_type"] = None if handle is None else types.record(handle)
        if "metadata" in endpoint.keys:
            made["metadata"] = {}
        return made

    def has_notes(self, alert_id: str) -> bool:
        return any(n.get("alert_id") == alert_id for n in self._records.get("alert_notes", ()))


class RecordedBody:
    """An endpoint that answers with one object: a file of one, or lists that are empty."""

    def __init__(
        self,
        account: RecordedAccount,
        endpoint: Endpoint,
        parents: list[tuple[str, RecordList | ChildList]],
    ) -> None:
        self._account = account
        self._endpoint = endpoint
        self.parents = parents

    def of(self, parent_ids: tuple[str, ...]) -> Record | None:
        """The answer; None when there is no such parent, or the account has no such thing."""
        for parent_id, (_, parent) in zip(parent_ids, self.parents, strict=True):
            if parent.find(parent_id) is None:
                return None
        return self._empty(self._endpoint.response)

    def _empty(self, schema: dict[str, Any]) -> Record | None:
        resolved = self._account.contract.resolve(schema)
        made: Record = {}
        for key in resolved.get("required", ()):
            value = self._account.contract.resolve(resolved["properties"][key])
            if value.get("type") == "array":
                made[key] = []
            elif value.get("type") == "object" and (inner := self._empty(value)) is not None:
                made[key] = inner
            else:
                return None
        return made or None


def _created(record: Record) -> int:
    return parse_moment(str(record.get("created_at"))) or 0


def _read(path: Path) -> list[Record]:
    try:
        found = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise ValueError(f"{path}: not an array of records")
    return found
