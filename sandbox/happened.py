"""What happened at the invented company: incidents, and all that belongs to them, and alerts.

Each list is a source that makes record i from the seed and i alone. Lists that belong to incidents
lie in the order of the incidents, so that those of one incident are next to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from . import words
from .ids import mix
from .lists import InventedSource, Record
from .times import DAY, HOUR, MINUTE, SECOND, format_moment

if TYPE_CHECKING:
    from .company import Company

_SPAN = 362 * DAY
_TRIAGE, _LIVE, _PAUSED, _LEARNING, _CLOSED = (0,), (1, 2, 3), (4,), (5, 6), (7,)
_DECLINED, _CANCELED, _MERGED = (8,), (9,), (10,)
_ENDS = (
    [_CLOSED] * 60 + [_LEARNING] * 8 + [_PAUSED] * 3 + [_LIVE] * 8 + [_TRIAGE] * 3
    + [_DECLINED] * 7 + [_CANCELED] * 6 + [_MERGED] * 5
)  # fmt: skip
# The newest incidents, newest first, so that there is one of each whatever the size.
_NEWEST = (_LIVE, _TRIAGE, _CLOSED, _PAUSED, _DECLINED, _LEARNING, _CANCELED, _MERGED)
_MODES = ["standard"] * 86 + ["retrospective"] * 5 + ["test"] * 5 + ["tutorial"] * 4


def happened(company: Company) -> dict[str, InventedSource]:
    """The sources by the names of their lists; the configured lists must be there already."""
    options = company.options
    embedded = Embedded(company)
    incidents = Incidents(company, embedded)
    alerts = Alerts(company)
    below = incidents if incidents.count else None
    return {
        "incidents": incidents,
        "incident_updates": Updates(company, embedded, incidents, "incident_updates", options.updates if below else 0),
        "actions": Actions(company, embedded, incidents, "actions", options.actions if below else 0),
        "follow_ups": FollowUps(company, embedded, incidents, "follow_ups", options.follow_ups if below else 0),
        "alerts": alerts,
        "escalations": Escalations(company, embedded, incidents, alerts),
    }


def embedded_user(user: Record) -> Record:
    """A user as other records hold it."""
    keys = ("id", "name", "email", "role", "slack_user_id")
    return {key: user[key] for key in keys if key in user}


class Embedded:
    """Configured records as others embed them: serialised once."""

    def __init__(self, company: Company) -> None:
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
        self.timestamps = fragments("incident_timestamps")
        self.fields: list[tuple[str, orjson.Fragment, list[Record]]] = []
        for custom_field in company.records("custom_fields"):
            offered = company.custom_field_options(custom_field["id"])
            keys = ("id", "name", "description", "field_type")
            info = {**{key: custom_field[key] for key in keys}, "options": offered}
            self.fields.append((custom_field["field_type"], orjson.Fragment(orjson.dumps(info)), offered))
        self.api_key = {"api_key": {"id": "KEYTERRAFORM", "name": "Terraform"}}
        self.workflow = {"workflow": {"id": "WORKFLOWAUTO", "name": "Auto-create ⚙"}}

    def person(self, bits: int) -> orjson.Fragment:
        return self.users[bits % len(self.users)]

    def actor(self, bits: int) -> Any:
        """Mostly a person, sometimes a workflow or an API key."""
        if bits % 16 == 0:
            return self.workflow
        if bits % 16 == 1:
            return self.api_key
        return self.by_user[(bits >> 4) % len(self.by_user)]


class Happening(InventedSource):
    """A source whose records are spread over a year, in order."""

    def __init__(self, company: Company, name: str, count: int) -> None:
        super().__init__(company.salt(name), count)
        self._start = company.start_ms
        self._anchor = company.anchor_ms
        self._round = company.options.round_times * SECOND

    def bits(self, index: int) -> int:
        return mix(self.salt + index)

    def exact(self, index: int) -> int:
        """When a record was created, before rounding: later for a later index."""
        fraction = (index << 16) | (self.bits(index) & 0xFFFF)
        return self._start + _SPAN * fraction // (self.count << 16)

    def created(self, index: int) -> int:
        exact = self.exact(index)
        return exact - exact % self._round if self._round else exact

    def id_at(self, index: int) -> str:
        return self.new_id(index, self.exact(index))

    def updated(self, index: int) -> int:
        raise NotImplementedError

    def fast(self, column: str) -> Callable[[int], Any] | None:
        return {"created_at": self.created, "updated_at": self.updated}.get(column)


class Facts(NamedTuple):
    """What decides everything about an incident."""

    bits: int
    created: int
    ended: int
    updated: int
    status: int
    mode: str
    severity: int | None
    kind: int


class Incidents(Happening):
    def __init__(self, company: Company, embedded: Embedded) -> None:
        super().__init__(company, "incidents", company.options.incidents)
        self.facts = lru_cache(maxsize=1 << 16)(self._facts)
        self._embedded = embedded
        self._categories = [s["category"] for s in company.records("incident_statuses")]
        self._ids = {
            "incident_status.id": [s["id"] for s in company.records("incident_statuses")],
            "severity.id": [s["id"] for s in company.records("severities")],
            "incident_type.id": [t["id"] for t in company.records("incident_types")],
        }

    def _facts(self, index: int) -> Facts:
        bits = self.bits(index)
        more = mix(bits)
        created = self.created(index)
        # From minutes to days, short ones far more often.
        length = (20 * MINUTE) + (more % 1000) ** 3 * 3 * DAY // 10**9
        ends = _ENDS[(bits >> 16) % 100]
        if ends in (_LIVE, _TRIAGE, _PAUSED) and created < self._anchor - 60 * DAY:
            ends = _CLOSED
        newest = self.count - 1 - index < len(_NEWEST)
        if newest:
            ends = _NEWEST[self.count - 1 - index]
        status = ends[(bits >> 24) % len(ends)]
        ended = min(created + length, self._anchor - HOUR)
        return Facts(
            bits=bits,
            created=created,
            ended=ended,
            updated=min(ended + (more >> 10) % (2 * DAY), self._anchor),
            status=status,
            mode="standard" if newest else _MODES[(bits >> 30) % 100],
            severity=None if ends == _TRIAGE else min((bits >> 37) % 8, 3) ^ 3,
            kind=(bits >> 40) % 4,
        )

    def updated(self, index: int) -> int:
        return self.facts(index).updated

    def category(self, index: int) -> str:
        return str(self._categories[self.facts(index).status])

    def mode(self, index: int) -> str:
        return self.facts(index).mode

    def fast(self, column: str) -> Callable[[int], Any] | None:
        facts, ids = self.facts, self._ids
        more: dict[str, Callable[[int], Any]] = {
            "mode": self.mode,
            "incident_status.category": self.category,
            "incident_status.id": lambda i: ids["incident_status.id"][facts(i).status],
            "incident_type.id": lambda i: ids["incident_type.id"][facts(i).kind],
        }
        return more.get(column) or super().fast(column)

    def make(self, index: int) -> bytes:
        facts, has = self.facts(index), self._embedded
        random = Random(facts.bits)
        created, ended = facts.created, facts.ended
        service = random.choice(words.SERVICES)
        incident_id = self.id_at(index)
        closed = facts.status >= _LEARNING[0]
        record: Record = {
            "id": incident_id,
            "reference": f"INC-{index + 1}",
            "name": f"{service}: {random.choice(words.SYMPTOMS)}",
            "visibility": "private" if random.random() < 0.06 else "public",
            "mode": facts.mode,
            "created_at": format_moment(created),
            "updated_at": format_moment(facts.updated),
            "last_activity_at": format_moment(ended),
            "creator": has.actor(facts.bits >> 8),
            "incident_status": has.statuses[facts.status],
            "incident_type": has.types[facts.kind],
            "slack_team_id": "T02A1B2C3D4",
            "slack_channel_id": f"C{facts.bits % 36**9:09X}",
            "slack_channel_name": f"inc-{index + 1}-{service}",
            "permalink": f"https://app.incident.io/example/incidents/{index + 1}",
            "team_ids": random.sample(has.team_ids, random.randint(0, 2)),
            "custom_field_entries": [
                {"custom_field": info, "values": _field_values(kind, offered, random)}
                for kind, info, offered in has.fields
            ],
            "incident_role_assignments": [
                {"role": role, "assignee": has.person(facts.bits >> 12 + position)}
                if position < 2 or random.random() < 0.4
                else {"role": role}
                for position, role in enumerate(has.roles)
            ],
            "incident_timestamp_values": self._timestamps(facts),
            "has_debrief": False,
            "workload_minutes_total": round((ended - created) / MINUTE * 1.7, 2),
            "workload_minutes_working": round((ended - created) / MINUTE, 2),
            "workload_minutes_late": round((ended - created) / MINUTE * 0.5, 2),
            "workload_minutes_sleeping": round((ended - created) / MINUTE * 0.2, 2),
        }
        if facts.severity is not None:
            record["severity"] = has.severities[facts.severity]
        if random.random() < 0.8:
            record["summary"] = words.paragraph(random)
        if random.random() < 0.2:
            record["call_url"] = f"https://example.test/call/{index}"
        if closed:
            record["duration_metrics"] = [
                {
                    "duration_metric": {"id": "METRICRESOLVE", "name": "Time to resolve"},
                    "status": "success",
                    "value_seconds": (ended - created) // SECOND,
                },
                {
                    "duration_metric": {"id": "METRICFIX", "name": "Time to fix"},
                    "status": "timestamps_missing",
                },
            ]
        if closed and random.random() < 0.4:
            record["postmortem_document_url"] = f"https://example.test/postmortem/{index}"
            record["has_debrief"] = True
            record["debriefs"] = [
                {
                    "id": f"{incident_id[:-1]}D",
                    "start_at": format_moment(ended + DAY),
                    "end_at": format_moment(ended + DAY + HOUR),
                }
            ]
        if random.random() < 0.15:
            record["external_issue_reference"] = {
                "provider": "jira",
                "issue_name": f"OPS-{index + 100}",
                "issue_permalink": f"https://example.test/jira/OPS-{index + 100}",
            }
        return orjson.dumps(record)

    def _timestamps(self, facts: Facts) -> list[Record]:
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
        made: list[Record] = []
        for position, timestamp in enumerate(self._embedded.timestamps):
            share = reached.get(_TIMESTAMP_NAMES[position])
            made.append({"incident_timestamp": timestamp})
            if share is not None:
                moment = format_moment(facts.created + int(length * share))
                made[-1]["value"] = {"value": moment}
        return made


_TIMESTAMP_NAMES = ("Reported at", "Accepted at", "Declined at", "Merged at", "Canceled at",
                    "Identified at", "Fixed at", "Resolved at", "Closed at")  # fmt: skip


def _field_values(kind: str, offered: list[Record], random: Random) -> list[Record]:
    if random.random() < 0.4:
        return []
    if kind == "single_select":
        return [{"value_option": random.choice(offered)}]
    if kind == "multi_select":
        count = random.randint(1, min(3, len(offered)))
        return [{"value_option": option} for option in random.sample(offered, count)]
    if kind == "numeric":
        return [{"value_numeric": random.choice(("12", "0.25", "1e21", "9007199254740993"))}]
    if kind == "link":
        return [{"value_link": f"https://example.test/ticket/{random.randrange(10**5)}"}]
    return [{"value_text": random.choice(("n/a", "", "CHG-17 \t\n", "ünïcødé 🚒", "null"))}]


class OfIncidents(Happening):
    """A list that belongs to the incidents: those of one lie together, some have none."""

    def __init__(self, company: Company, embedded: Embedded, incidents: Incidents, name: str, count: int) -> None:
        super().__init__(company, name, count)
        self._embedded = embedded
        self._incidents = incidents
        self._plain = company.options.plain

    def _first(self, incident: int) -> int:
        """The index of an incident's first record."""
        if incident <= 0:
            return 0
        if incident >= self._incidents.count:
            return self.count
        fraction = (incident << 16) | (mix(self.salt ^ incident) & 0xFFFF)
        return self.count * fraction // (self._incidents.count << 16)

    def place(self, index: int) -> tuple[int, int, int]:
        """(the incident's index, which of its records this is, how many it has)."""
        incident = index * self._incidents.count // self.count
        while self._first(incident) > index:
            incident -= 1
        while self._first(incident + 1) <= index:
            incident += 1
        first = self._first(incident)
        return incident, index - first, self._first(incident + 1) - first

    def exact(self, index: int) -> int:
        incident, which, of = self.place(index)
        start = self._incidents.exact(incident)
        gap = 2 * HOUR
        if incident + 1 < self._incidents.count:
            gap = min(gap, self._incidents.exact(incident + 1) - start)
        return start + gap * ((which << 16) | (self.bits(index) & 0xFFFF)) // (of << 16)

    def incident_id(self, index: int) -> str:
        return self._incidents.id_at(self.place(index)[0])

    def fast(self, column: str) -> Callable[[int], Any] | None:
        more: dict[str, Callable[[int], Any]] = {
            "incident_id": self.incident_id,
            "incident_mode": lambda index: self._incidents.mode(self.place(index)[0]),
        }
        return more.get(column) or super().fast(column)

    def group(self, column: str, value: str) -> range | None:
        incident = self._incidents.index_of(value) if column == "incident_id" else None
        if incident is None:
            return None
        return range(self._first(incident), self._first(incident + 1))


class Updates(OfIncidents):
    """Incident updates: from the first report to the incident's last status."""

    def exact(self, index: int) -> int:
        incident, which, of = self.place(index)
        facts = self._incidents.facts(incident)
        fraction = (which << 16) | (self.bits(index) & 0xFFFF)
        return facts.created + (facts.ended - facts.created) * fraction // (of << 16)

    def updated(self, index: int) -> int:
        return self.created(index)

    def make(self, index: int) -> bytes:
        incident, which, of = self.place(index)
        facts, has = self._incidents.facts(incident), self._embedded
        bits = self.bits(index)
        status = facts.status
        if which < of - 1:
            status = min(1 + 3 * which // of, max(status, 0))
        record: Record = {
            "id": self.id_at(index),
            "incident_id": self._incidents.id_at(incident),
            "new_incident_status": has.statuses[status],
            "updater": has.actor(bits >> 8),
            "created_at": format_moment(self.created(index)),
        }
        if not self._plain:
            if facts.severity is not None:
                record["new_severity"] = has.severities[facts.severity]
            if bits % 5:
                record["message"] = words.paragraph(Random(bits), 2)
            if facts.status in _MERGED and which == of - 1 and incident:
                record["merged_into_incident_id"] = self._incidents.id_at(incident - 1)
        return orjson.dumps(record)


class Actions(OfIncidents):
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
            "description": words.fill(random.choice(words.TASKS), random),
            "status": ("completed", "completed", "outstanding", "not_doing", "deleted")[min(bits % 11, 4)],
            "created_at": format_moment(self.created(index)),
            "updated_at": format_moment(updated),
        }
        if bits % 7:
            record["assignee"] = self._embedded.person(bits >> 20)
        if record["status"] == "completed":
            record["completed_at"] = format_moment(updated)
        return orjson.dumps(record)


class FollowUps(OfIncidents):
    def updated(self, index: int) -> int:
        created = self.created(index)
        return min(created + mix(self.bits(index)) % (20 * DAY), self._anchor)

    def make(self, index: int) -> bytes:
        bits = self.bits(index)
        random = Random(bits)
        updated = self.updated(index)
        has = self._embedded
        status = ("completed", "outstanding", "outstanding", "not_doing", "deleted")[min(bits % 9, 4)]
        record: Record = {
            "id": self.id_at(index),
            "incident_id": self.incident_id(index),
            "creator": has.actor(bits >> 8),
            "title": words.fill(random.choice(words.TASKS), random),
            "status": status,
            "labels": random.sample(("reliability", "docs", "täglich", "p1"), bits % 3),
            "created_at": format_moment(self.created(index)),
            "updated_at": format_moment(updated),
        }
        if bits % 3:
            record["description"] = words.paragraph(random)
        if bits % 7:
            record["assignee"] = has.person(bits >> 20)
        if bits % 5 == 0:
            record["assignee_team"] = has.teams[(bits >> 26) % len(has.teams)]
        if bits % 2:
            name = ("Urgent", "Normal", "Low")[(bits >> 33) % 3]
            record["priority"] = {"id": f"PRIORITY{name.upper()}", "name": name, "rank": 1}
        if status == "completed":
            record["completed_at"] = format_moment(updated)
        if bits % 4 == 1:
            record["external_issue_reference"] = {
                "provider": "linear",
                "issue_name": f"ENG-{index}",
                "issue_permalink": f"https://example.test/linear/ENG-{index}",
            }
        return orjson.dumps(record)


class Alerts(Happening):
    def __init__(self, company: Company) -> None:
        super().__init__(company, "alerts", company.options.alerts)
        self._company = company
        self._plain = company.options.plain
        self._sources: list[str] = []
        self._attributes: list[tuple[Record, orjson.Fragment]] = []

    def updated(self, index: int) -> int:
        return min(self.created(index) + mix(self.bits(index)) % (6 * HOUR), self._anchor)

    def _configured(self) -> None:
        company = self._company
        self._sources = [source["id"] for source in company.records("alert_sources")]
        self._attributes = [
            (attribute, orjson.Fragment(orjson.dumps(attribute))) for attribute in company.records("alert_attributes")
        ]

    def slim(self, index: int) -> Record:
        """The alert as other records embed it."""
        if not self._sources:
            self._configured()
        bits = self.bits(index)
        service = words.SERVICES[(bits >> 16) % len(words.SERVICES)]
        symptom = words.SYMPTOMS[(bits >> 24) % len(words.SYMPTOMS)]
        created, updated = self.created(index), self.updated(index)
        record: Record = {
            "id": self.id_at(index),
            "alert_source_id": self._sources[(bits >> 32) % len(self._sources)],
            "deduplication_key": f"{service}-{bits & 0xFFFFFFFF:08x}",
            "status": "firing" if bits % 40 == 0 else "resolved",
            "title": f"{service}: {symptom}",
            "created_at": format_moment(created),
            "updated_at": format_moment(updated),
        }
        if not self._plain:
            record["source_url"] = f"https://example.test/alerts/{index}"
            if bits % 3:
                sentence = words.SENTENCES[(bits >> 40) % len(words.SENTENCES)]
                record["description"] = sentence.replace("{service}", service)
            if record["status"] == "resolved":
                record["resolved_at"] = format_moment(updated)
        return record

    def make(self, index: int) -> bytes:
        record = self.slim(index)
        bits = mix(self.bits(index))
        attributes: list[Record] = []
        record["attributes"] = attributes
        if not self._plain:
            for position, (attribute, embedded) in enumerate(self._attributes[:4]):
                value = words.SERVICES[(bits >> (position * 4)) % len(words.SERVICES)]
                given = {"label": value, "literal": value}
                if attribute["array"]:
                    attributes.append({"attribute": embedded, "array_value": [given]})
                else:
                    attributes.append({"attribute": embedded, "value": given})
            if bits % 9 == 0:
                record["tags"] = [{"id": "TAGNOISE", "name": "noise 🔔"}]
        return orjson.dumps(record)

    def fast(self, column: str) -> Callable[[int], Any] | None:
        if column == "has_notes":
            return lambda index: self._company.has_notes(self.id_at(index))
        return super().fast(column)


class Escalations(Happening):
    def __init__(self, company: Company, embedded: Embedded, incidents: Incidents, alerts: Alerts) -> None:
        super().__init__(company, "escalations", company.options.escalations)
        self._company = company
        self._embedded = embedded
        self._incidents = incidents
        self._alerts = alerts

    def updated(self, index: int) -> int:
        return min(self.created(index) + mix(self.bits(index)) % (3 * HOUR), self._anchor)

    def make(self, index: int) -> bytes:
        bits = self.bits(index)
        has = self._embedded
        created, updated = self.created(index), self.updated(index)
        status = ("acked", "acked", "resolved", "expired", "cancelled")[bits % 5]
        urgency = ("high", "low")[bits >> 20 & 1]
        record: Record = {
            "id": self.id_at(index),
            "title": words.SYMPTOMS[(bits >> 24) % len(words.SYMPTOMS)],
            "description": words.SENTENCES[3],
            "status": status,
            "priority": {"name": ("P1", "P2", "P3")[(bits >> 22) % 3]},
            "created_at": format_moment(created),
            "updated_at": format_moment(updated),
            "events": [
                {
                    "id": f"{self.id_at(index)[:-2]}E{number}",
                    "event": event,
                    "occurred_at": format_moment(min(created + number * MINUTE, updated)),
                    "urgency": urgency,
                    "users": [has.person((bits >> 8) + number)],
                }
                for number, event in enumerate(("triggered", "notified_users", "acked"))
            ],
            "related_alerts": [],
            "related_incidents": [],
        }
        path = self._company.pick_id("escalation_paths", bits >> 16)
        if path is not None:
            record["escalation_path_id"] = path
        if self._alerts.count:
            alert = self._alerts.slim(index * self._alerts.count // self.count)
            record["related_alerts"] = [alert]
            record["creator"] = {"alert": {"id": alert["id"], "title": alert["title"]}}
        if self._incidents.count and bits % 3:
            record["related_incidents"] = [self._incident(index)]
        record.setdefault("creator", {"user": has.person(bits >> 8)})
        return orjson.dumps(record)

    def _incident(self, index: int) -> Record:
        number = index * self._incidents.count // self.count
        category = self._incidents.category(number)
        return {
            "id": self._incidents.id_at(number),
            "external_id": number + 1,
            "name": f"Incident {number + 1}",
            "reference": f"INC-{number + 1}",
            "status_category": {"live": "active", "learning": "post-incident"}.get(category, category),
            "visibility": "public",
        }
