"""An invented company: what happened there in a year, and everything it has configured.

The lists that a sync spends its time on (incidents, alerts and what belongs to them) are made here,
record by record from its index, so that a company of any size starts at once. All others are
invented from the contract's schemas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import orjson

from . import words
from .contract import Contract, Endpoint
from .happened import embedded_user, happened
from .ids import flat_of, make_id, mix, salt_of
from .invent import Context, Inventor
from .lists import (
    ChildList,
    FixedSource,
    InventedSource,
    Record,
    RecordList,
    mode_of_incident,
)
from .options import Options
from .times import DAY, HOUR, MINUTE, Clock, format_moment

_STRIDE = 1024  # the most children that one parent has
_YEAR = 365 * DAY

NEWEST_FIRST = frozenset({"incidents", "alerts", "escalations", "workflow_runs", "pay_reports", "postmortem_documents"})
# How many records a list has that is not sized by the options; a pair is the least and most of
# each parent. Some are more than a page.
_COUNTS: dict[str, int | tuple[int, int]] = {
    "alert_attributes": 6,
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
_USUAL = 7
_USUAL_CHILDREN = (1, 4)

_STATUSES = (
    ("Triage", "triage"), ("Investigating", "live"), ("Fixing", "live"), ("Monitoring", "live"),
    ("Paused", "paused"), ("Documenting", "learning"), ("Reviewing", "learning"),
    ("Closed", "closed"), ("Declined", "declined"), ("Canceled", "canceled"), ("Merged", "merged"),
)  # fmt: skip
_SEVERITIES = ("Minor", "Major", "Critical", "Catastrophic")
_TYPES = ("Production outage", "Security", "Data issue", "Default")
_ROLES = (("Incident Lead", "lead"), ("Reporter", "reporter"), ("Comms Lead", "custom"),
          ("Scribe", "custom"))  # fmt: skip
_TIMESTAMPS = ("Reported at", "Accepted at", "Declined at", "Merged at", "Canceled at",
               "Identified at", "Fixed at", "Resolved at", "Closed at")  # fmt: skip
_FIELDS = (
    ("Affected services", "multi_select"), ("Customer impact", "single_select"),
    ("Root cause", "single_select"), ("Detected by", "single_select"), ("Ticket", "link"),
    ("Customers affected", "numeric"), ("Region", "multi_select"), ("Vendor", "text"),
    ("Change id", "text"), ("Data loss", "single_select"),
)  # fmt: skip


class Company:
    """The invented company. `lists` and `bodies` are what the API serves, by the list's name."""

    def __init__(self, contract: Contract, options: Options, clock: Clock) -> None:
        self.contract = contract
        self.options = options
        self.clock = clock
        now = clock.now_ms()
        # The last change was about a week ago, and is the same all day long.
        self.anchor_ms = now - now % DAY - 7 * DAY
        self.start_ms = self.anchor_ms - _YEAR
        self.lists: dict[str, RecordList | ChildList] = {}
        self.bodies: dict[str, BodyMaker] = {}
        self._salts: dict[str, int] = {}
        self._inventor = Inventor(self)
        self._configured()
        for name, source in happened(self).items():
            self._add(name, source)
        for endpoint in contract.endpoints.values():
            self._generic(endpoint)

    # what the inventor and the sources ask for

    def salt(self, name: str) -> int:
        if name not in self._salts:
            self._salts[name] = salt_of(self.options.seed, name)
        return self._salts[name]

    def pick(self, name: str, number: int) -> Record | None:
        found = self.lists.get(name)
        if not isinstance(found, RecordList) or found.source.count == 0:
            return None
        return found.record(number % found.source.count)

    def pick_id(self, name: str, number: int) -> str | None:
        found = self.lists.get(name)
        if not isinstance(found, RecordList) or found.source.count == 0:
            return None
        return found.source.id_at(number % found.source.count)

    def records(self, name: str) -> list[Record]:
        """Every record of a list that is not long."""
        found = self.lists[name]
        assert isinstance(found, RecordList)
        return [found.record(handle) for handle in found.handles()]

    def has_notes(self, alert_id: str) -> bool:
        return mix(salt_of(self.options.seed, alert_id)) % 32 == 0

    # building

    def _add(self, name: str, source: FixedSource | InventedSource) -> None:
        self.lists[name] = RecordList(
            name,
            source,
            newest_first=name in NEWEST_FIRST,
            derived=mode_of_incident(self.lists),
        )

    def _fixed(self, name: str, records: Iterable[Record]) -> None:
        """A configured list; each record gets its id and, where it has them, its timestamps."""
        salt = self.salt(name)
        made = []
        for index, record in enumerate(records):
            at = self.start_ms - 30 * DAY + index * HOUR + mix(salt + index) % HOUR
            made.append({"id": make_id(salt, index, at), **record})
            for key in ("created_at", "updated_at"):
                if key in record:
                    made[-1][key] = format_moment(at)
        self._add(name, FixedSource.of(salt, made))

    def _configured(self) -> None:
        moments = {"created_at": "", "updated_at": ""}
        random = Random(self.options.seed)
        self._fixed("users", (_user(index, random) for index in range(self.options.users)))
        self._fixed(
            "severities",
            (
                {"name": n, "description": f"{n}: {words.paragraph(random)}", "rank": r, **moments}
                for r, n in enumerate(_SEVERITIES)
            ),
        )
        self._fixed(
            "incident_statuses",
            (
                {"name": n, "category": c, "description": n + ".", "rank": r, **moments}
                for r, (n, c) in enumerate(_STATUSES)
            ),
        )
        self._fixed(
            "incident_types",
            (
                {
                    "name": n,
                    "description": "" if n == "Default" else words.paragraph(random),
                    "is_default": n == "Default",
                    "private_incidents_only": n == "Security",
                    "create_in_triage": "always" if n == "Security" else "optional",
                    **moments,
                }
                for n in _TYPES
            ),
        )
        self._fixed(
            "incident_roles",
            (
                {
                    "name": n,
                    "role_type": t,
                    "shortform": n.split()[0].lower(),
                    "description": f"{n} of an incident",
                    "instructions": words.paragraph(random),
                    **moments,
                }
                for n, t in _ROLES
            ),
        )
        self._fixed("incident_timestamps", ({"name": n, "rank": r} for r, n in enumerate(_TIMESTAMPS)))
        self._fixed(
            "custom_fields",
            (
                {
                    "name": name if index < len(_FIELDS) else f"{name} {index // len(_FIELDS) + 1}",
                    "field_type": kind,
                    "description": words.paragraph(random, 2),
                    **moments,
                }
                for index in range(self.options.custom_fields)
                for name, kind in [_FIELDS[index % len(_FIELDS)]]
            ),
        )
        fields = self.records("custom_fields")
        self._options = {field["id"]: _options(self.salt("options"), field) for field in fields}
        self._fixed(
            "teams",
            (
                {
                    "name": name,
                    "catalog_entry": {"id": make_id(self.salt("entry"), i, 1), "name": name},
                    "members": [
                        {key: user[key] for key in ("id", "name", "email")}
                        for user in random.sample(self.records("users"), k=min(4, len(self)))
                    ],
                }
                for i, name in enumerate(words.TEAMS)
            ),
        )

    def __len__(self) -> int:
        return len(self.lists["users"])  # type: ignore[arg-type]

    def _generic(self, endpoint: Endpoint) -> None:
        """A list, or a body, that only the contract describes."""
        name = endpoint.name
        if name in self.lists:
            return
        if endpoint.records_key is None:
            self.bodies[name] = BodyMaker(self, endpoint)
        elif not endpoint.parents:
            self._add(name, GenericSource(self, endpoint, _count(name)))
        else:
            parents = [(parameter, self._list(of)) for parameter, of in endpoint.parents]
            children = GenericChildren(self, endpoint)
            self.lists[name] = ChildList(name, parents, children.make, children.parent_of)

    def _list(self, name: str) -> RecordList | ChildList:
        if name not in self.lists:
            self._generic(self.contract.endpoints[name])
        return self.lists[name]

    def invent(self, endpoint: Endpoint, key: int, index: int, at_ms: int, pins: Record) -> Record:
        """Record `index` of a list; `key` decides what it looks like."""
        assert endpoint.record_schema is not None
        context = Context(endpoint.name, Random(key), at_ms, pins, index)
        record = self._inventor.record(endpoint.record_schema, context)
        if endpoint.name == "on_call_notification_pauses":
            start = at_ms if index % 2 else self.clock.now_ms() + index * DAY
            record["starts_at"] = format_moment(start)
            record["ends_at"] = format_moment(start + 8 * HOUR)
        return record

    def invent_body(self, endpoint: Endpoint, key: int, at_ms: int) -> Record:
        """The whole answer of an endpoint that has no list."""
        context = Context(endpoint.name, Random(key), at_ms)
        return self._inventor.record(endpoint.response, context)

    def extras(self, endpoint: Endpoint, parent_ids: tuple[str, ...]) -> Record:
        """What an answer holds beside its records."""
        made: Record = {}
        if "catalog_type" in endpoint.keys:
            types = self.lists["catalog_types"]
            assert isinstance(types, RecordList)
            handle = types.find(parent_ids[0])
            made["catalog_type"] = None if handle is None else types.record(handle)
        if "metadata" in endpoint.keys:
            made["metadata"] = {"data_synced_at": format_moment(self.anchor_ms)}
        return made

    def custom_field_options(self, field_id: str) -> list[Record]:
        return self._options.get(field_id, [])


def _count(name: str) -> int:
    count = _COUNTS.get(name, _USUAL)
    assert isinstance(count, int)
    return count


def _user(index: int, random: Random) -> Record:
    first = words.FIRST_NAMES[index % len(words.FIRST_NAMES)]
    last = words.LAST_NAMES[(index * 7 + index // 26) % len(words.LAST_NAMES)]
    role = ("owner", "administrator", "responder", "responder", "viewer")[min(index, index % 5)]
    user: Record = {
        "name": f"{first} {last}",
        "role": role,
        "email": f"user{index}@example.test",
        "is_active": index % 8 != 7,
        "base_role": {"id": f"ROLE{role.upper()}", "name": role.title(), "slug": role},
        "custom_roles": [],
        "seats": {
            "on_call": random.choice(("full_access", "viewer_only", "none")),
            "response": "full_access",
        },
    }
    if index % 6:
        user["slack_user_id"] = f"U0{random.getrandbits(40):010X}"
    if index % 13 == 5:
        user["custom_roles"] = [{"id": "ROLEDBA", "name": "DBA", "slug": "dba"}]
    return user


def _options(salt: int, field: Record) -> list[Record]:
    if not field["field_type"].endswith("select"):
        return []
    count = 3 + mix(salt ^ hash_text(field["name"])) % 9
    return [
        {
            "id": make_id(salt ^ hash_text(field["id"]), index, 1),
            "custom_field_id": field["id"],
            "value": f"{words.SERVICES[(index * 3) % len(words.SERVICES)]} / {index + 1}",
            "sort_key": index * 10,
        }
        for index in range(count)
    ]


def hash_text(text: str) -> int:
    """The same number for the same text, in every process."""
    return salt_of(7, text)


class GenericSource(InventedSource):
    """A list without parents that only the contract describes."""

    def __init__(self, company: Company, endpoint: Endpoint, count: int) -> None:
        super().__init__(company.salt(endpoint.name), count)
        self._company = company
        self._endpoint = endpoint

    def created(self, index: int) -> int:
        return self._company.start_ms + (_YEAR - 3 * DAY) * index // max(self.count, 1)

    def make(self, index: int) -> bytes:
        record = self._company.invent(
            self._endpoint,
            mix(self.salt + index),
            index,
            self.created(index),
            {"id": self.id_at(index)},
        )
        return orjson.dumps(record)

    def fast(self, column: str) -> Callable[[int], Any] | None:
        return None


class GenericChildren:
    """The small lists of one endpoint, one a parent."""

    def __init__(self, company: Company, endpoint: Endpoint) -> None:
        self._company = company
        self._endpoint = endpoint
        self._salt = company.salt(endpoint.name)

    def make(self, name: str, parent_ids: tuple[str, ...]) -> RecordList:
        company = self._company
        if name == "custom_field_options":
            made = company.custom_field_options(parent_ids[-1])
            return RecordList(name, FixedSource.of(self._salt, made))
        flat, at = self._place(parent_ids[-1])
        bits = mix(self._salt ^ flat)
        pins: Record = dict(zip((parameter for parameter, _ in self._endpoint.parents), parent_ids, strict=True))
        rows = []
        for index in range(self._how_many(name, parent_ids[-1], bits)):
            own = flat * _STRIDE + index
            moment = at + (index + 1) * MINUTE
            pins["id"] = make_id(self._salt, own, moment)
            rows.append(company.invent(self._endpoint, mix(bits + index), index, moment, pins))
        if name == "incident_participant_workloads":
            # Aggregated by participant (the document): nobody is there twice
            rows = list({row["user"]["id"]: row for row in rows}.values())
        source = FixedSource.of(self._salt ^ flat, rows)
        return RecordList(name, source, newest_first=name in NEWEST_FIRST)

    def _how_many(self, name: str, parent_id: str, bits: int) -> int:
        if name == "incident_attachments":
            return bits % (self._company.options.attachments + 1)
        if name == "alert_notes" and not self._company.has_notes(parent_id):
            return 0
        span = _COUNTS.get(name, _USUAL_CHILDREN)
        least, most = span if isinstance(span, tuple) else _USUAL_CHILDREN
        if name == "catalog_entries" and bits % 3 == 0:
            return 300  # more than a page
        return least + bits % (most - least + 1)

    def _place(self, parent_id: str) -> tuple[int, int]:
        """The parent's index among all of its list, and the moment it was created."""
        _, parent = self._endpoint.parents[-1]
        flat = flat_of(self._company.salt(parent), parent_id)
        if flat is None:
            flat = hash_text(parent_id) % (1 << 30) + (1 << 31)
        found = self._company.lists[parent]
        at = None
        if isinstance(found, RecordList) and (handle := found.find(parent_id)) is not None:
            at = found.value(handle, "created_at")
        return flat, at or self._company.start_ms + mix(flat) % (_YEAR - 30 * DAY)

    def parent_of(self, child_id: str) -> tuple[str, ...] | None:
        """The ids that lead to a child, told from the child's own."""
        flat = flat_of(self._salt, child_id)
        return None if flat is None else self._path(self._endpoint.parents[-1][1], flat // _STRIDE)

    def _path(self, name: str, flat: int) -> tuple[str, ...] | None:
        found = self._company.lists[name]
        count = len(self._endpoint.parents)
        if isinstance(found, RecordList):
            if flat >= found.length:
                return None
            return (found.id_of(flat),)
        above = GenericChildren(self._company, self._company.contract.endpoints[name])
        parents = above._path(above._endpoint.parents[-1][1], flat // _STRIDE)
        children = None if parents is None else found.of(parents)
        if parents is None or children is None or flat % _STRIDE >= children.source.count:
            return None
        return (*parents, children.source.id_at(flat % _STRIDE))[-count:]


class BodyMaker:
    """An endpoint that answers with one object."""

    def __init__(self, company: Company, endpoint: Endpoint) -> None:
        self._company = company
        self._endpoint = endpoint
        self.parents = [(parameter, company._list(name)) for parameter, name in endpoint.parents]

    def of(self, parent_ids: tuple[str, ...]) -> Record | None:
        """The answer; None when there is no such parent."""
        for parent_id, (_, parent) in zip(parent_ids, self.parents, strict=True):
            if parent.find(parent_id) is None:
                return None
        key = self._company.salt(self._endpoint.name) ^ hash_text("/".join(parent_ids))
        if self._endpoint.name == "incident_participants":
            return self._participants(key)
        return self._company.invent_body(self._endpoint, key, self._company.anchor_ms - 30 * DAY)

    def _participants(self, key: int) -> Record:
        """Everybody once, in one of the two lists."""
        random = Random(key)
        users = self._company.records("users")
        made: dict[str, list[Record]] = {"active": [], "passive": []}
        for user in random.sample(users, k=min(random.randint(1, 5), len(users))):
            kind = random.choice(("observer", "responder", "collaborator"))
            made["passive" if kind == "observer" else "active"].append(
                {"participant_type": kind, "user": embedded_user(user)}
            )
        return {"incident_participants": made}
