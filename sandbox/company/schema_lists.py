"""Lists and bodies that are generated from the contract's schemas."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from sandbox.account import embedded_user, parents_exist
from sandbox.company.base import YEAR, CompanyBase
from sandbox.company.schema_records import RecordContext, SchemaRecords
from sandbox.contract import Endpoint
from sandbox.ids import hash_text, make_id, mix, number_from_id
from sandbox.lists import NEWEST_FIRST, ChildList, FixedSource, InventedSource, Record, RecordList
from sandbox.times import DAY, HOUR, MINUTE, format_record_time

_STRIDE = 1024  # maximum number of children of one parent

# Number of records of each list, where no option sets it. A pair is the minimum and maximum per parent.
# Some lists have more than a page.
_COUNTS: dict[str, int | tuple[int, int]] = {
    "alert_attributes": 6,
    "alert_group_notes": (1, 3),
    "alert_notes": (1, 3),
    "alert_sources": 5,
    "alert_tags": 9,
    "api_keys": 4,
    "call_sessions": (0, 2),
    "call_transcript_entries": (5, 40),
    "catalog_entries": (4, 40),
    "catalog_types": 6,
    "escalation_paths": 30,
    "glossary_entries": 12,
    "incident_activity_log_entries": (3, 12),
    "incident_alerts": 120,
    "incident_participant_workloads": (1, 4),
    "incident_relationships": (0, 2),
    "incident_timeline_items": (2, 6),
    "ip_ranges": 4,
    "on_call_notification_pauses": 14,
    "policy_findings": 25,
    "postmortem_documents": 40,
    "schedules": 5,
    "status_page_components": 8,
    "status_page_incidents": (3, 9),
    "status_pages": 2,
    "workflow_runs": 130,
}
_OTHER_OWNERS = {"alert_notes": "alert_group_id", "alert_group_notes": "alert_id"}
_DEFAULT_COUNT = 7
_DEFAULT_CHILDREN = (1, 4)


class SchemaLists:
    """Adds the lists and bodies that only the contract describes."""

    def __init__(self, company: CompanyBase) -> None:
        self._company = company
        self._records = SchemaRecords(company)

    def add(self, endpoint: Endpoint) -> None:
        """Add a list or a body, after its parents. Does nothing for a list that exists."""
        name, company = endpoint.name, self._company
        if name in company.lists:
            return
        parents = [(parameter, self._parent(parent)) for parameter, parent in endpoint.parents]
        if endpoint.records_key is None:
            company.bodies[name] = SchemaBody(company, self._records, endpoint, parents)
        elif not parents:
            count = _COUNTS.get(name, _DEFAULT_COUNT)
            assert isinstance(count, int)
            company.add(name, SchemaSource(company, self._records, endpoint, count))
        else:
            children = SchemaChildren(company, self._records, endpoint)
            company.lists[name] = ChildList(name, parents, children.make, children.parent_of)

    def _parent(self, name: str) -> RecordList | ChildList:
        if name not in self._company.lists:
            self.add(self._company.contract.endpoints[name])
        return self._company.lists[name]


def _generate(company: CompanyBase, records: SchemaRecords, endpoint: Endpoint, context: RecordContext) -> Record:
    """A record of a list."""
    assert endpoint.record_schema is not None
    record = records.generate(endpoint.record_schema, context)
    if endpoint.name == "on_call_notification_pauses":
        # Every second pause is still to come.
        start = context.at_ms if context.index % 2 else company.clock.now_ms() + context.index * DAY
        record["starts_at"] = format_record_time(start)
        record["ends_at"] = format_record_time(start + 8 * HOUR)
    # A note has either an alert or a group.
    record.pop(_OTHER_OWNERS.get(endpoint.name, ""), None)
    if endpoint.name == "pay_reports":
        # The list has no others.
        record["status"] = "complete"
    return record


class SchemaSource(InventedSource):
    """A list without parents."""

    def __init__(self, company: CompanyBase, records: SchemaRecords, endpoint: Endpoint, count: int) -> None:
        super().__init__(company.salt(endpoint.name), count)
        self._company = company
        self._records = records
        self._endpoint = endpoint

    def created(self, index: int) -> int:
        return self._company.start_ms + (YEAR - 3 * DAY) * index // max(self.count, 1)

    def make(self, index: int) -> bytes:
        context = RecordContext(
            self._endpoint.name,
            Random(mix(self.salt + index)),
            self.created(index),
            {"id": self.id_at(index)},
            index,
        )
        return orjson.dumps(_generate(self._company, self._records, self._endpoint, context))

    def column(self, column: str) -> Callable[[int], Any] | None:
        return None


class SchemaChildren:
    """The lists of one endpoint, one per parent."""

    def __init__(self, company: CompanyBase, records: SchemaRecords, endpoint: Endpoint) -> None:
        self._company = company
        self._records = records
        self._endpoint = endpoint
        self._salt = company.salt(endpoint.name)

    def make(self, name: str, parent_ids: tuple[str, ...]) -> RecordList:
        """The children of one parent."""
        company = self._company
        if name == "custom_field_options":
            options = company.field_options.get(parent_ids[-1], [])
            return RecordList(name, FixedSource.from_records(self._salt, options))
        parent_number, parent_created = self._parent(parent_ids[-1])
        bits = mix(self._salt ^ parent_number)
        fixed: Record = dict(zip((parameter for parameter, _ in self._endpoint.parents), parent_ids, strict=True))
        rows = []
        for index in range(self._count(name, parent_ids[-1], bits)):
            at_ms = parent_created + (index + 1) * MINUTE
            fixed["id"] = make_id(self._salt, parent_number * _STRIDE + index, at_ms)
            context = RecordContext(name, Random(mix(bits + index)), at_ms, fixed, index)
            rows.append(_generate(company, self._records, self._endpoint, context))
        if name == "incident_participant_workloads":
            # The document aggregates them by participant: one record per user.
            rows = list({row["user"]["id"]: row for row in rows}.values())
        source = FixedSource.from_records(self._salt ^ parent_number, rows)
        return RecordList(name, source, newest_first=name in NEWEST_FIRST)

    def _count(self, name: str, parent_id: str, bits: int) -> int:
        """Number of children of a parent."""
        if name == "incident_attachments":
            return bits % (self._company.options.attachments + 1)
        if name == "alert_notes" and not self._company.has_notes(parent_id):
            return 0
        if name == "alert_group_notes" and not self._company.group_has_notes(parent_id):
            return 0
        span = _COUNTS.get(name, _DEFAULT_CHILDREN)
        minimum, maximum = span if isinstance(span, tuple) else _DEFAULT_CHILDREN
        if name == "catalog_entries" and bits % 3 == 0:
            return 300  # more than a page
        return minimum + bits % (maximum - minimum + 1)

    def _parent(self, parent_id: str) -> tuple[int, int]:
        """The parent's number in its list, and when it was created."""
        company = self._company
        _, parent = self._endpoint.parents[-1]
        number = number_from_id(company.salt(parent), parent_id)
        if number is None:
            number = hash_text(parent_id) % (1 << 30) + (1 << 31)
        records = company.lists[parent]
        created = None
        if isinstance(records, RecordList) and (handle := records.find(parent_id)) is not None:
            created = records.value(handle, "created_at")
        return number, created or company.start_ms + mix(number) % (YEAR - 30 * DAY)

    def parent_of(self, child_id: str) -> tuple[str, ...] | None:
        """The parents' ids of a child, from its id."""
        number = number_from_id(self._salt, child_id)
        return None if number is None else self._path(self._endpoint.parents[-1][1], number // _STRIDE)

    def _path(self, name: str, number: int) -> tuple[str, ...] | None:
        """The ids that lead to record `number` of a list."""
        records = self._company.lists[name]
        if isinstance(records, RecordList):
            return (records.id_of(number),) if number < records.length else None
        outer = SchemaChildren(self._company, self._records, self._company.contract.endpoints[name])
        parents = outer._path(outer._endpoint.parents[-1][1], number // _STRIDE)
        children = None if parents is None else records.children_of(parents)
        if parents is None or children is None or number % _STRIDE >= children.source.count:
            return None
        return (*parents, children.source.id_at(number % _STRIDE))[-len(self._endpoint.parents) :]


class SchemaBody:
    """An endpoint that answers with one object."""

    def __init__(
        self,
        company: CompanyBase,
        records: SchemaRecords,
        endpoint: Endpoint,
        parents: list[tuple[str, RecordList | ChildList]],
    ) -> None:
        self._company = company
        self._records = records
        self._endpoint = endpoint
        self._parents = parents

    def get(self, parent_ids: tuple[str, ...]) -> Record | None:
        """The body; None if a parent does not exist."""
        if not parents_exist(self._parents, parent_ids):
            return None
        company, endpoint = self._company, self._endpoint
        random = Random(company.salt(endpoint.name) ^ hash_text("/".join(parent_ids)))
        if endpoint.name == "incident_participants":
            return self._participants(random)
        context = RecordContext(endpoint.name, random, company.anchor_ms - 30 * DAY)
        return self._records.generate(endpoint.response, context)

    def _participants(self, random: Random) -> Record:
        """Some users, each in one of the two lists."""
        users = self._company.records("users")
        participants: dict[str, list[Record]] = {"active": [], "passive": []}
        for user in random.sample(users, k=min(random.randint(1, 5), len(users))):
            kind = random.choice(("observer", "responder", "collaborator"))
            participants["passive" if kind == "observer" else "active"].append(
                {"participant_type": kind, "user": embedded_user(user)}
            )
        return {"incident_participants": participants}
