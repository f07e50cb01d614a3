"""The records that a sync of a sandbox's account has to emit."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson
import requests

from sandbox import Sandbox
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream, stream_name
from source_incident.streams.incidents import Incidents
from source_incident.streams.kinds import ChildStream
from source_incident.streams.page import is_url, remove_field, value_at

Record = dict[str, Any]
DEFAULT_MODES = ("standard", "retrospective")
# Records of these streams have the mode of their incident.
WITH_MODES = ("actions", "follow_ups")
NESTED = {"attachments": "incident_attachments", "updates": "incident_updates", "actions": "actions"}
# The sandbox has another name for this list.
SANDBOX_NAMES = {"status_page_response_incidents": "status_page_incident_response_incidents"}
# Streams whose endpoint answers with no list of records: path of a request, and the parent.
OBJECTS = {
    "incident_participants": ("/v2/incident_participants?incident_id={}", "incidents"),
    "postmortem_document_contents": ("/v1/postmortem_documents/{}/content", "postmortem_documents"),
    "status_page_structures": ("/v2/status_page_structures/{}", "status_pages"),
    "user_paging_providers": ("/v2/users/{}/paging_provider", "users"),
}
# Its records depend on the moment of the sync; streams/test_schedule_window.py tests it.
WINDOW_STREAM = "schedule_entries"


class Account:
    """A snapshot of the account. Each list is taken when it is first needed."""

    def __init__(self, sandbox: Sandbox, modes: tuple[str, ...] = DEFAULT_MODES) -> None:
        self._sandbox = sandbox
        self._modes = modes
        self._lists: dict[str, list[Record]] = {}

    def of(self, streams: Iterable[str]) -> dict[str, list[Record]]:
        """Return the records of some list streams."""
        return {name: self.stream(name) for name in streams}

    def stream(self, name: str) -> list[Record]:
        """Return the records of a stream whose endpoint answers with a list."""
        declared = declarations()[name]
        if declared.records_key is None:
            raise ValueError(f"{name} has no list of records")
        records = orjson.loads(orjson.dumps(self._list(name)))
        if name == "incidents":
            records = [record for record in records if record.get("mode") in self._modes]
            self._nest(records)
        elif name in WITH_MODES or Incidents in _ancestors(declared):
            records = self._filter_by_mode(records)
        elif name == "schedules":
            # The API returns this field only in pages of 25 or fewer.
            for record in records:
                record.pop("next_shifts", None)
        if declared.detail_endpoint:
            for record in records:
                body = get(self._sandbox, declared.detail_endpoint.format(id=record["id"]))
                record |= {column: value_at(body, path) for column, path in declared.detail_columns.items()}
        for record in records:
            for path in declared.credentials:
                _remove(record, path.split("."))
            for path in declared.credential_urls:
                remove_field(record, path.split("."), is_url)
        return records

    def expected(self, name: str) -> list[Record]:
        """Return the records that a stream has to emit, for every stream except `schedule_entries`."""
        if name == "ip_allowlists":
            return [get(self._sandbox, "/v1/ip_allowlists")["ip_allowlist"]]
        if name == "pay_report_lines":
            return list(self._pay_report_lines())
        if name == "status_page_component_availability":
            return list(self._availability())
        if name in OBJECTS:
            path, parent = OBJECTS[name]
            key = declarations()[name].parent_key
            return [
                {**record, key: parent_record["id"]}
                for parent_record in self.stream(parent)
                for record in _records_in(get(self._sandbox, path.format(parent_record["id"])))
            ]
        records = self.stream(name)
        if name == "incident_participant_workloads":
            incident = records[0]["incident_id"]
            body = get(self._sandbox, f"/v2/incident_participant_workloads?incident_id={incident}")
            return [{**record, "user_id": record["user"]["id"], **body["metadata"]} for record in records]
        if name == "pay_config_weekly_rules":
            positions = Counter[str]()
            for record in records:
                record["position"] = positions[record["pay_config_id"]]
                positions[record["pay_config_id"]] += 1
        return records

    def _pay_report_lines(self) -> Iterator[Record]:
        for report in self.stream("pay_reports"):
            if report["status"] != "complete":
                continue
            text = request(self._sandbox, f"/v2/pay_reports/{report['id']}/download").content.decode()
            for position, row in enumerate(csv.DictReader(io.StringIO(text, newline=""))):
                # The integers of the sandbox's report have their unit in parentheses.
                values = {name: int(cell) if "(" in name else cell for name, cell in row.items()}
                yield {"pay_report_id": report["id"], "position": position, "values": values}

    def _availability(self) -> Iterator[Record]:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        ends = [midnight]
        for _ in range(13):
            ends.append((ends[-1] - timedelta(seconds=1)).replace(day=1, hour=0, minute=0, second=0))
        if midnight.day == 1:
            ends.append((ends.pop() - timedelta(seconds=1)).replace(day=1, hour=0, minute=0, second=0))
        windows = list(pairwise(reversed(ends)))[-12 - (midnight.day > 1) :]
        for page in self.stream("status_pages"):
            structure = get(self._sandbox, f"/v2/status_page_structures/{page['id']}")
            for component in dict.fromkeys(re.findall(r"'component_id': '(\w+)'", repr(structure))):
                for start, end in windows:
                    path = f"/v2/status_pages/{page['id']}/components/{component}/availability"
                    query = f"?start_at={start:%Y-%m-%dT%H:%M:%SZ}&end_at={end:%Y-%m-%dT%H:%M:%SZ}"
                    yield {**get(self._sandbox, path + query)["availability"], "month": f"{start:%Y-%m}"}

    def _list(self, name: str) -> list[Record]:
        if name not in self._lists:
            snapshot = self._sandbox.snapshot(SANDBOX_NAMES.get(name, name))
            declared = declarations()[name]
            records = snapshot["records"]
            if issubclass(declared, ChildStream):
                self._add_parent_keys(declared, records, snapshot.get("parents", [{}] * len(records)))
            if name == "alert_notes":
                records += self._sandbox.records("alert_group_notes")
            self._lists[name] = records
        return self._lists[name]

    def _add_parent_keys(
        self, declared: type[ChildStream], records: list[Record], parents: list[dict[str, str]]
    ) -> None:
        """Add the ids of the parent and the grandparent to the records of a child stream."""
        keys = re.findall(r"{(\w+)}", declared.endpoint) or [declared.parent_key]
        for record, ids in zip(records, parents, strict=True):
            for key, id_ in zip(keys, ids.values(), strict=True):
                record.setdefault(key, id_)
        if issubclass(declared.parent, ChildStream):
            key = declared.parent.parent_key
            grandparents = {record["id"]: record[key] for record in self._list(stream_name(declared.parent))}
            for record in records:
                record.setdefault(key, grandparents[record[declared.parent_key]])

    def _filter_by_mode(self, records: list[Record]) -> list[Record]:
        mode_of = {incident["id"]: incident.get("mode") for incident in self._list("incidents")}
        return [record for record in records if mode_of.get(record["incident_id"]) in self._modes]

    def _nest(self, incidents: list[Record]) -> None:
        for column, name in NESTED.items():
            by_incident: dict[str, list[Record]] = defaultdict(list)
            for record in self._list(name):
                by_incident[record["incident_id"]].append(record)
            for incident in incidents:
                incident[column] = by_incident.get(incident["id"]) or None


def declarations() -> dict[str, Any]:
    """Return the stream classes by name."""
    return {stream_name(stream): stream for stream in STREAMS}


def get(sandbox: Sandbox, path: str) -> Any:
    """Request a path of the sandbox's API and return the body."""
    return request(sandbox, path).json()


def request(sandbox: Sandbox, path: str) -> requests.Response:
    """Request a path of the sandbox's API and return the answer."""
    response = requests.get(sandbox.url + path, headers={"Authorization": f"Bearer {sandbox.key}"}, timeout=30)
    assert response.status_code == 200
    return response


def _records_in(body: dict[str, Any]) -> list[Record]:
    """Return the records in a body: the body itself, or the records of its two lists."""
    lists = body.get("incident_participants")
    if lists is None:
        return [body]
    return [
        {**record, "involvement": involvement, "user_id": record["user"]["id"]}
        for involvement in ("active", "passive")
        for record in lists[involvement]
    ]


def _ancestors(stream: type[IncidentStream]) -> Iterator[type[IncidentStream]]:
    """Yield the parent of a stream, the parent's parent, and so on."""
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
