"""What a sync of the sandbox's account has to come to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from sandbox import Sandbox
from source_incident.streams import STREAMS
from source_incident.streams.base import ChildStream, IncidentStream
from source_incident.streams.incidents import Incidents
from tools.schemas import stream_name

Record = dict[str, Any]
DEFAULT_MODES = ("standard", "retrospective")
# They are of the mode that their incident is of.
OF_MODES = ("actions", "follow_ups")
NESTED = {"attachments": "incident_attachments", "updates": "incident_updates", "actions": "actions"}
# A list that the sandbox calls otherwise.
LISTS = {"status_page_response_incidents": "status_page_incident_response_incidents"}


class Account:
    """What the sandbox holds at one moment, as far as it was asked for."""

    def __init__(self, sandbox: Sandbox, modes: tuple[str, ...] = DEFAULT_MODES) -> None:
        self._sandbox = sandbox
        self._modes = modes
        self._lists: dict[str, list[Record]] = {}

    def of(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        return {name: self.stream(name) for name in streams}

    def stream(self, name: str) -> list[Record]:
        declared = declarations()[name]
        if declared.records_key is None:
            raise ValueError(f"{name} is no list")
        records = orjson.loads(orjson.dumps(self._list(name)))
        if name == "incidents":
            records = [record for record in records if record.get("mode") in self._modes]
            self._nest(records)
        elif name in OF_MODES or Incidents in _above(declared):
            records = self._of_modes(records)
        elif name == "schedules":
            # The API gives these in pages of 25 and fewer only.
            for record in records:
                record.pop("next_shifts", None)
        for path in declared.credentials:
            for record in records:
                _remove(record, path.split("."))
        return records

    def _list(self, name: str) -> list[Record]:
        if name not in self._lists:
            held = self._sandbox.snapshot(LISTS.get(name, name))
            declared = declarations()[name]
            records = held["records"]
            if issubclass(declared, ChildStream):
                self._join(declared, records, held.get("parents", [{}] * len(records)))
            self._lists[name] = records
        return self._lists[name]

    def _join(self, declared: type[ChildStream], records: list[Record], parents: list[dict[str, str]]) -> None:
        """Gives the records the ids that join them to what they are below."""
        keys = re.findall(r"{(\w+)}", declared.endpoint) or [declared.parent_key]
        for record, ids in zip(records, parents, strict=True):
            for key, id_ in zip(keys, ids.values(), strict=True):
                record.setdefault(key, id_)
        if issubclass(declared.parent, ChildStream):
            key = declared.parent.parent_key
            above = {record["id"]: record[key] for record in self._list(stream_name(declared.parent))}
            for record in records:
                record.setdefault(key, above[record[declared.parent_key]])

    def _of_modes(self, records: list[Record]) -> list[Record]:
        mode_of = {incident["id"]: incident.get("mode") for incident in self._list("incidents")}
        return [record for record in records if mode_of.get(record["incident_id"]) in self._modes]

    def _nest(self, incidents: list[Record]) -> None:
        for column, name in NESTED.items():
            rows: dict[str, list[Record]] = defaultdict(list)
            for row in self._list(name):
                rows[row["incident_id"]].append(row)
            for incident in incidents:
                incident[column] = rows.get(incident["id"]) or None


def declarations() -> dict[str, Any]:
    """The streams' declarations by name."""
    return {stream_name(stream): stream for stream in STREAMS}


def _above(stream: type[IncidentStream]) -> Iterator[type[IncidentStream]]:
    """What a stream hangs below, the nearest first."""
    while issubclass(stream, ChildStream):
        stream = stream.parent
        yield stream


def _remove(value: Any, path: list[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _remove(item, path)
    elif isinstance(value, dict):
        if len(path) == 1:
            value.pop(path[0], None)
        else:
            _remove(value.get(path[0]), path[1:])
