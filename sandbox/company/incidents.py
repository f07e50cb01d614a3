"""Incidents and their children: incident updates, actions and follow-ups.

Each list is a source that generates record i from the seed and i alone. Children are in the order of
their incidents, so the children of one incident are adjacent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

import orjson

from sandbox.account import embedded_user
from sandbox.company import vocabulary
from sandbox.company.base import CompanyBase
from sandbox.company.events import EventSource
from sandbox.ids import mix
from sandbox.lists import Record
from sandbox.times import DAY, HOUR, MINUTE, SECOND, UNSET, format_record_time

# Indexes in the list of incident statuses, by category.
_TRIAGE, _LIVE, _PAUSED, _LEARNING, _CLOSED = (0,), (1, 2, 3), (4,), (5, 6), (7,)
_DECLINED, _CANCELED, _MERGED = (8,), (9,), (10,)
# Final statuses of 100 incidents.
_FINAL_STATUSES = (
    [_CLOSED] * 60 + [_LEARNING] * 8 + [_PAUSED] * 3 + [_LIVE] * 8 + [_TRIAGE] * 3
    + [_DECLINED] * 7 + [_CANCELED] * 6 + [_MERGED] * 5
)  # fmt: skip
# Statuses of the newest incidents, newest first, so that a company of any size has one of each.
_NEWEST = (_LIVE, _TRIAGE, _CLOSED, _PAUSED, _DECLINED, _LEARNING, _CANCELED, _MERGED)
_MODES = ["standard"] * 86 + ["retrospective"] * 5 + ["test"] * 5 + ["tutorial"] * 4


class Embedded:
    """Configuration records as other records embed them, serialized once."""

    def __init__(self, company: CompanyBase) -> None:
        def fragments(name: str) -> list[orjson.Fragment]:
            return [orjson.Fragment(orjson.dumps(record)) for record in company.records(name)]

        users = [orjson.dumps(embedded_user(user)) for user in company.records("users")]
        self.users = [orjson.Fragment(user) for user in users]
        self.by_user = [orjson.Fragment(b'{"user":' + user + b"}") for user in users]
        self.teams = [
            orjson.Fragment(orjson.dumps({"id": team["id"], "name": team["name"]})) for team in company.records("teams")
        ]
        self.team_ids = [team["id"] for team in company.records("teams")]
        self.severities = fragments("severities")
        self.statuses = fragments("incident_statuses")
        self.types = fragments("incident_types")
        self.roles = [
            orjson.Fragment(orjson.dumps({**role, "required": False})) for role in company.records("incident_roles")
        ]
        names = [timestamp["name"] for timestamp in company.records("incident_timestamps")]
        self.timestamps = list(zip(names, fragments("incident_timestamps"), strict=True))
        self.fields: list[tuple[str, orjson.Fragment, list[Record]]] = []
        for custom_field in company.records("custom_fields"):
            options = company.field_options.get(custom_field["id"], [])
            keys = ("id", "name", "description", "field_type")
            info = {**{key: custom_field[key] for key in keys}, "options": options}
            self.fields.append((custom_field["field_type"], orjson.Fragment(orjson.dumps(info)), options))
        self.api_key = {"api_key": {"id": "KEYTERRAFORM", "name": "Terraform"}}
        self.workflow = {"workflow": {"id": "WORKFLOWAUTO", "name": "Auto-create ⚙"}}

    def user(self, bits: int) -> orjson.Fragment:
        return self.users[bits % len(self.users)]

    def actor(self, bits: int) -> Any:
        """A user in most cases, or a workflow or an API key."""
        if bits % 16 == 0:
            return self.workflow
        if bits % 16 == 1:
            return self.api_key
        return self.by_user[(bits >> 4) % len(self.by_user)]


class IncidentFacts(NamedTuple):
    """Values that the incident and its children are generated from."""

    bits: int
    created: int
    ended: int
    updated: int
    status: int
    mode: str
    severity: int | None
    kind: int


class Incidents(EventSource):
    """The incidents."""

    def __init__(self, company: CompanyBase, embedded: Embedded) -> None:
        super().__init__(company, "incidents", company.options.incidents)
        self.facts = lru_cache(maxsize=1 << 16)(self._facts)
        self._embedded = embedded
        self._categories = [s["category"] for s in company.records("incident_statuses")]
        self._ids = {
            "incident_status.id": [s["id"] for s in company.records("incident_statuses")],
            "severity.id": [s["id"] for s in company.records("severities")],
            "incident_type.id": [t["id"] for t in company.records("incident_types")],
        }

    def _facts(self, index: int) -> IncidentFacts:
        bits = self.bits(index)
        more = mix(bits)
        created = self.created(index)
        # From 20 minutes to three days, mostly short.
        length = (20 * MINUTE) + (more % 1000) ** 3 * 3 * DAY // 10**9
        statuses = _FINAL_STATUSES[(bits >> 16) % 100]
        if statuses in (_LIVE, _TRIAGE, _PAUSED) and created < self._anchor - 60 * DAY:
            statuses = _CLOSED
        newest = self.count - 1 - index < len(_NEWEST)
        if newest:
            statuses = _NEWEST[self.count - 1 - index]
        status = statuses[(bits >> 24) % len(statuses)]
        ended = min(created + length, self._anchor - HOUR)
        return IncidentFacts(
            bits=bits,
            created=created,
            ended=ended,
            updated=min(ended + (more >> 10) % (2 * DAY), self._anchor),
            status=status,
            mode="standard" if newest else _MODES[(bits >> 30) % 100],
            severity=None if statuses == _TRIAGE else min((bits >> 37) % 8, 3) ^ 3,
            kind=(bits >> 40) % 4,
        )

    def updated(self, index: int) -> int:
        return self.facts(index).updated

    def category(self, index: int) -> str:
        return str(self._categories[self.facts(index).status])

    def mode(self, index: int) -> str:
        return self.facts(index).mode

    def column(self, column: str) -> Callable[[int], Any] | None:
        facts, ids = self.facts, self._ids
        columns: dict[str, Callable[[int], Any]] = {
            "mode": self.mode,
            "incident_status.category": self.category,
            "incident_status.id": lambda i: ids["incident_status.id"][facts(i).status],
            "incident_type.id": lambda i: ids["incident_type.id"][facts(i).kind],
        }
        return columns.get(column) or super().column(column)

    def make(self, index: int) -> bytes:
        facts = self.facts(index)
        random = Random(facts.bits)
        record = self._required_fields(index, facts, random)
        if facts.severity is not None:
            record["severity"] = self._embedded.severities[facts.severity]
        if random.random() < 0.8:
            record["summary"] = vocabulary.paragraph(random)
        if random.random() < 0.2:
            record["call_url"] = f"https://example.test/call/{index}"
        if facts.status >= _LEARNING[0]:
            record["duration_metrics"] = _duration_metrics(facts)
            if random.random() < 0.4:
                record["postmortem_document_url"] = f"https://example.test/postmortem/{index}"
                record["has_debrief"] = True
                record["debriefs"] = [
                    {
                        "id": f"{record['id'][:-1]}D",
                        "start_at": format_record_time(facts.ended + DAY),
                        "end_at": format_record_time(facts.ended + DAY + HOUR),
                    }
                ]
        if random.random() < 0.15:
            record["external_issue_reference"] = {
                "provider": "jira",
                "issue_name": f"OPS-{index + 100}",
                "issue_permalink": f"https://example.test/jira/OPS-{index + 100}",
            }
        return orjson.dumps(record)

    def _required_fields(self, index: int, facts: IncidentFacts, random: Random) -> Record:
        embedded = self._embedded
        service = random.choice(vocabulary.SERVICES)
        minutes = (facts.ended - facts.created) / MINUTE
        return {
            "id": self.id_at(index),
            "reference": f"INC-{index + 1}",
            "name": f"{service}: {random.choice(vocabulary.SYMPTOMS)}",
            "visibility": "private" if random.random() < 0.06 else "public",
            "mode": facts.mode,
            "created_at": format_record_time(facts.created),
            "updated_at": format_record_time(facts.updated),
            "last_activity_at": format_record_time(facts.ended),
            "creator": embedded.actor(facts.bits >> 8),
            "incident_status": embedded.statuses[facts.status],
            "incident_type": embedded.types[facts.kind],
            "slack_team_id": "T02A1B2C3D4",
            "slack_channel_id": f"C{facts.bits % 36**9:09X}",
            "slack_channel_name": f"inc-{index + 1}-{service}",
            "permalink": f"https://app.incident.io/example/incidents/{index + 1}",
            "team_ids": random.sample(embedded.team_ids, random.randint(0, 2)),
            "custom_field_entries": [
                {"custom_field": info, "values": _field_values(field_type, options, random)}
                for field_type, info, options in embedded.fields
            ],
            "incident_role_assignments": [
                {"role": role, "assignee": embedded.user(facts.bits >> 12 + position)}
                if position < 2 or random.random() < 0.4
                else {"role": role}
                for position, role in enumerate(embedded.roles)
            ],
            "incident_timestamp_values": self._timestamps(facts),
            "has_debrief": False,
            "workload_minutes_total": round(minutes * 1.7, 2),
            "workload_minutes_working": round(minutes, 2),
            "workload_minutes_late": round(minutes * 0.5, 2),
            "workload_minutes_sleeping": round(minutes * 0.2, 2),
        }

    def _timestamps(self, facts: IncidentFacts) -> list[Record]:
        """The timestamps that the incident has reached, by the share of its duration."""
        length = facts.ended - facts.created
        reached = {
            "Reported at": 0.0,
            **({"Accepted at": 0.02} if facts.status in range(1, 8) else {}),
            **({"Declined at": 1.0} if facts.status in _DECLINED else {}),
            **({"Merged at": 1.0} if facts.status in _MERGED else {}),
            **({"Canceled at": 1.0} if facts.status in _CANCELED else {}),
            **({"Identified at": 0.3, "Fixed at": 0.8} if 3 <= facts.status <= 7 else {}),
            **({"Resolved at": 0.9} if 5 <= facts.status <= 7 else {}),
            **({"Closed at": 1.0} if facts.status in _CLOSED else {}),
        }
        values: list[Record] = []
        for name, timestamp in self._embedded.timestamps:
            values.append({"incident_timestamp": timestamp})
            if name in reached:
                moment = format_record_time(facts.created + int(length * reached[name]))
                values[-1]["value"] = {"value": moment}
        return values


def _duration_metrics(facts: IncidentFacts) -> list[Record]:
    return [
        {
            "duration_metric": {"id": "METRICRESOLVE", "name": "Time to resolve"},
            "status": "success",
            "value_seconds": (facts.ended - facts.created) // SECOND,
        },
        {
            "duration_metric": {"id": "METRICFIX", "name": "Time to fix"},
            "status": "timestamps_missing",
        },
    ]


def _field_values(field_type: str, options: list[Record], random: Random) -> list[Record]:
    """The values of a custom field."""
    if random.random() < 0.4:
        return []
    if field_type == "single_select":
        return [{"value_option": random.choice(options)}]
    if field_type == "multi_select":
        count = random.randint(1, min(3, len(options)))
        return [{"value_option": option} for option in random.sample(options, count)]
    if field_type == "numeric":
        return [{"value_numeric": random.choice(("12", "0.25", "1e21", "9007199254740993"))}]
    if field_type == "link":
        return [{"value_link": f"https://example.test/ticket/{random.randrange(10**5)}"}]
    return [{"value_text": random.choice(("n/a", "", "CHG-17 \t\n", "ünïcødé 🚒", "null"))}]


class IncidentChildSource(EventSource):
    """Children of the incidents: those of one incident are adjacent, and some incidents have none."""

    name: str

    def __init__(self, company: CompanyBase, embedded: Embedded, incidents: Incidents, count: int) -> None:
        super().__init__(company, self.name, count)
        self._embedded = embedded
        self._incidents = incidents
        self._plain = company.options.plain

    def _first(self, incident: int) -> int:
        """The index of an incident's first child."""
        if incident <= 0:
            return 0
        if incident >= self._incidents.count:
            return self.count
        fraction = (incident << 16) | (mix(self.salt ^ incident) & 0xFFFF)
        return self.count * fraction // (self._incidents.count << 16)

    def locate(self, index: int) -> tuple[int, int, int]:
        """(index of the incident, position among its children, number of its children)."""
        incident = index * self._incidents.count // self.count
        while self._first(incident) > index:
            incident -= 1
        while self._first(incident + 1) <= index:
            incident += 1
        first = self._first(incident)
        return incident, index - first, self._first(incident + 1) - first

    def exact(self, index: int) -> int:
        incident, position, count = self.locate(index)
        start = self._incidents.exact(incident)
        gap = 2 * HOUR
        if incident + 1 < self._incidents.count:
            gap = min(gap, self._incidents.exact(incident + 1) - start)
        return start + gap * ((position << 16) | (self.bits(index) & 0xFFFF)) // (count << 16)

    def incident_id(self, index: int) -> str:
        return self._incidents.id_at(self.locate(index)[0])

    def column(self, column: str) -> Callable[[int], Any] | None:
        columns: dict[str, Callable[[int], Any]] = {
            "incident_id": self.incident_id,
            "incident_mode": lambda index: self._incidents.mode(self.locate(index)[0]),
        }
        return columns.get(column) or super().column(column)

    def range_with(self, column: str, value: str) -> range | None:
        incident = self._incidents.index_of(value) if column == "incident_id" else None
        if incident is None:
            return None
        return range(self._first(incident), self._first(incident + 1))


class IncidentUpdates(IncidentChildSource):
    """Incident updates, from the report to the incident's current status."""

    name = "incident_updates"

    def exact(self, index: int) -> int:
        incident, position, count = self.locate(index)
        facts = self._incidents.facts(incident)
        fraction = (position << 16) | (self.bits(index) & 0xFFFF)
        return facts.created + (facts.ended - facts.created) * fraction // (count << 16)

    def updated(self, index: int) -> int:
        return self.created(index)

    def make(self, index: int) -> bytes:
        incident, position, count = self.locate(index)
        facts, embedded = self._incidents.facts(incident), self._embedded
        bits = self.bits(index)
        status = facts.status
        if position < count - 1:
            status = min(1 + 3 * position // count, max(status, 0))
        record: Record = {
            "id": self.id_at(index),
            "incident_id": self._incidents.id_at(incident),
            "new_incident_status": embedded.statuses[status],
            "updater": embedded.actor(bits >> 8),
            "created_at": format_record_time(self.created(index)),
        }
        if not self._plain:
            if facts.severity is not None:
                record["new_severity"] = embedded.severities[facts.severity]
            if bits % 5:
                record["message"] = vocabulary.paragraph(Random(bits), 2)
            if facts.status in _MERGED and position == count - 1 and incident:
                record["merged_into_incident_id"] = self._incidents.id_at(incident - 1)
        return orjson.dumps(record)


class Actions(IncidentChildSource):
    """Actions."""

    name = "actions"

    def updated(self, index: int) -> int:
        created = self.created(index)
        return min(created + mix(self.bits(index)) % (5 * DAY), self._anchor)

    def make(self, index: int) -> bytes:
        bits = self.bits(index)
        random = Random(bits)
        updated = self.updated(index)
        record: Record = {
            "id": self.id_at(index),
            "incident_id": self.incident_id(index),
            "creator": self._embedded.actor(bits >> 8),
            "description": vocabulary.fill(random.choice(vocabulary.TASKS), random),
            "status": ("completed", "completed", "outstanding", "not_doing", "deleted")[min(bits % 11, 4)],
            "created_at": format_record_time(self.created(index)),
            "updated_at": format_record_time(updated),
        }
        if bits % 7:
            record["assignee"] = self._embedded.user(bits >> 20)
        if record["status"] == "completed":
            record["completed_at"] = format_record_time(updated)
        elif bits % 3 == 0:
            record["completed_at"] = UNSET
        return orjson.dumps(record)


class FollowUps(IncidentChildSource):
    """Follow-ups."""

    name = "follow_ups"

    def updated(self, index: int) -> int:
        created = self.created(index)
        return min(created + mix(self.bits(index)) % (20 * DAY), self._anchor)

    def make(self, index: int) -> bytes:
        bits = self.bits(index)
        random = Random(bits)
        updated = self.updated(index)
        embedded = self._embedded
        status = ("completed", "outstanding", "outstanding", "not_doing", "deleted")[min(bits % 9, 4)]
        record: Record = {
            "id": self.id_at(index),
            "incident_id": self.incident_id(index),
            "creator": embedded.actor(bits >> 8),
            "title": vocabulary.fill(random.choice(vocabulary.TASKS), random),
            "status": status,
            "labels": random.sample(("reliability", "docs", "täglich", "p1"), bits % 3),
            "created_at": format_record_time(self.created(index)),
            "updated_at": format_record_time(updated),
        }
        if bits % 3:
            record["description"] = vocabulary.paragraph(random)
        if bits % 7:
            record["assignee"] = embedded.user(bits >> 20)
        if bits % 5 == 0:
            record["assignee_team"] = embedded.teams[(bits >> 26) % len(embedded.teams)]
        if bits % 2:
            name = ("Urgent", "Normal", "Low")[(bits >> 33) % 3]
            record["priority"] = {"id": f"PRIORITY{name.upper()}", "name": name, "rank": 1}
        if status == "completed":
            record["completed_at"] = format_record_time(updated)
        elif bits % 5 == 0:
            record["completed_at"] = UNSET
        if bits % 4 == 1:
            record["external_issue_reference"] = {
                "provider": "linear",
                "issue_name": f"ENG-{index}",
                "issue_permalink": f"https://example.test/linear/ENG-{index}",
            }
        return orjson.dumps(record)
