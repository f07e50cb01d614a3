"""Alerts and escalations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import orjson

from sandbox.company import vocabulary
from sandbox.company.base import CompanyBase
from sandbox.company.events import EventSource
from sandbox.company.incidents import Embedded, Incidents
from sandbox.ids import mix
from sandbox.lists import InventedSource, Record
from sandbox.times import HOUR, MINUTE, format_moment

_GROUP_SIZE = 12  # alerts


class AlertGroups(InventedSource):
    """The groups of alerts. Each has some of the alerts of a span, and may share one with the group before."""

    def __init__(self, salt: int, alerts: Alerts) -> None:
        super().__init__(salt, alerts.count // _GROUP_SIZE)
        self._alerts = alerts

    def created(self, index: int) -> int:
        return self._alerts.created(index * _GROUP_SIZE)

    def make(self, index: int) -> bytes:
        return orjson.dumps({"id": self.id_at(index)})

    def ids_of(self, alert: int) -> list[str]:
        """The ids of the groups of an alert."""
        group, position = divmod(alert, _GROUP_SIZE)
        groups = [] if position % 3 else [group] if position else [group - 1, group]
        return [self.id_at(index) for index in groups if 0 <= index < self.count]


class Alerts(EventSource):
    """The alerts."""

    def __init__(self, company: CompanyBase) -> None:
        super().__init__(company, "alerts", company.options.alerts)
        self._company = company
        self._plain = company.options.plain
        self.groups = AlertGroups(company.salt("alert_groups"), self)

    def updated(self, index: int) -> int:
        return min(self.created(index) + mix(self.bits(index)) % (6 * HOUR), self._anchor)

    # Cached properties, because these lists are added after the alerts.

    @cached_property
    def _sources(self) -> list[str]:
        return [source["id"] for source in self._company.records("alert_sources")]

    @cached_property
    def _attributes(self) -> list[tuple[Record, orjson.Fragment]]:
        attributes = self._company.records("alert_attributes")
        return [(attribute, orjson.Fragment(orjson.dumps(attribute))) for attribute in attributes]

    def embedded(self, index: int) -> Record:
        """The alert as other records embed it."""
        bits = self.bits(index)
        service = vocabulary.SERVICES[(bits >> 16) % len(vocabulary.SERVICES)]
        symptom = vocabulary.SYMPTOMS[(bits >> 24) % len(vocabulary.SYMPTOMS)]
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
                sentence = vocabulary.SENTENCES[(bits >> 40) % len(vocabulary.SENTENCES)]
                record["description"] = sentence.replace("{service}", service)
            if record["status"] == "resolved":
                record["resolved_at"] = format_moment(updated)
        return record

    def make(self, index: int) -> bytes:
        record = self.embedded(index)
        bits = mix(self.bits(index))
        attributes: list[Record] = []
        record["attributes"] = attributes
        if not self._plain:
            for position, (attribute, fragment) in enumerate(self._attributes[:4]):
                value = vocabulary.SERVICES[(bits >> (position * 4)) % len(vocabulary.SERVICES)]
                given = {"label": value, "literal": value}
                if attribute["array"]:
                    attributes.append({"attribute": fragment, "array_value": [given]})
                else:
                    attributes.append({"attribute": fragment, "value": given})
            if group_ids := self.groups.ids_of(index):
                record["alert_group_ids"] = group_ids
            if bits % 9 == 0:
                record["tags"] = [{"id": "TAGNOISE", "name": "noise 🔔"}]
        return orjson.dumps(record)

    def column(self, column: str) -> Callable[[int], Any] | None:
        if column == "has_notes":
            return lambda index: self._company.has_notes(self.id_at(index))
        return super().column(column)


class Escalations(EventSource):
    """The escalations, with the alerts and incidents they belong to."""

    def __init__(self, company: CompanyBase, embedded: Embedded, incidents: Incidents, alerts: Alerts) -> None:
        super().__init__(company, "escalations", company.options.escalations)
        self._company = company
        self._embedded = embedded
        self._incidents = incidents
        self._alerts = alerts

    def updated(self, index: int) -> int:
        return min(self.created(index) + mix(self.bits(index)) % (3 * HOUR), self._anchor)

    def make(self, index: int) -> bytes:
        bits = self.bits(index)
        created, updated = self.created(index), self.updated(index)
        status = ("acked", "acked", "resolved", "expired", "cancelled")[bits % 5]
        urgency = ("high", "low")[bits >> 20 & 1]
        record: Record = {
            "id": self.id_at(index),
            "title": vocabulary.SYMPTOMS[(bits >> 24) % len(vocabulary.SYMPTOMS)],
            "description": vocabulary.SENTENCES[3],
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
                    "users": [self._embedded.user((bits >> 8) + number)],
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
            alert = self._alerts.embedded(index * self._alerts.count // self.count)
            record["related_alerts"] = [alert]
            record["creator"] = {"alert": {"id": alert["id"], "title": alert["title"]}}
        if self._incidents.count and bits % 3:
            record["related_incidents"] = [self._incident(index)]
        record.setdefault("creator", {"user": self._embedded.user(bits >> 8)})
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
