"""The company's configuration: users, teams, severities, statuses, types, roles, timestamps, custom fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

from sandbox.company import vocabulary
from sandbox.company.base import CompanyBase
from sandbox.ids import hash_text, make_id, mix
from sandbox.lists import FixedSource, Record
from sandbox.times import DAY, HOUR, format_record_time

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

# `_add` sets the values.
_TIMES = {"created_at": "", "updated_at": ""}


def add_configuration(company: CompanyBase) -> None:
    """Add the lists to the company. The random numbers are shared, so the order is significant."""
    random = Random(company.options.seed)
    _add(company, "users", (_user(index, random) for index in range(company.options.users)))
    _add(company, "severities", _severities(random))
    _add(company, "incident_statuses", _incident_statuses())
    _add(company, "incident_types", _incident_types(random))
    _add(company, "incident_roles", _incident_roles(random))
    _add(company, "incident_timestamps", ({"name": n, "rank": rank} for rank, n in enumerate(_TIMESTAMPS)))
    _add(company, "custom_fields", _custom_fields(company.options.custom_fields, random))
    for field in company.records("custom_fields"):
        company.field_options[field["id"]] = _field_options(company.salt("options"), field)
    _add(company, "teams", _teams(company.salt("entry"), company.records("users"), random))


def _add(company: CompanyBase, name: str, records: Iterable[Record]) -> None:
    """Add a list. Each record gets its id, and its timestamps if it has them."""
    salt = company.salt(name)
    complete = []
    for index, record in enumerate(records):
        at_ms = company.start_ms - 30 * DAY + index * HOUR + mix(salt + index) % HOUR
        times = {key: format_record_time(at_ms) for key in _TIMES if key in record}
        complete.append({"id": make_id(salt, index, at_ms), **record, **times})
    company.add(name, FixedSource.from_records(salt, complete))


def _user(index: int, random: Random) -> Record:
    first = vocabulary.FIRST_NAMES[index % len(vocabulary.FIRST_NAMES)]
    last = vocabulary.LAST_NAMES[(index * 7 + index // 26) % len(vocabulary.LAST_NAMES)]
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


def _severities(random: Random) -> Iterator[Record]:
    for rank, name in enumerate(_SEVERITIES):
        yield {"name": name, "description": f"{name}: {vocabulary.paragraph(random)}", "rank": rank, **_TIMES}


def _incident_statuses() -> Iterator[Record]:
    for rank, (name, category) in enumerate(_STATUSES):
        yield {"name": name, "category": category, "description": name + ".", "rank": rank, **_TIMES}


def _incident_types(random: Random) -> Iterator[Record]:
    for name in _TYPES:
        yield {
            "name": name,
            "description": "" if name == "Default" else vocabulary.paragraph(random),
            "is_default": name == "Default",
            "private_incidents_only": name == "Security",
            "create_in_triage": "always" if name == "Security" else "optional",
            **_TIMES,
        }


def _incident_roles(random: Random) -> Iterator[Record]:
    for name, role_type in _ROLES:
        yield {
            "name": name,
            "role_type": role_type,
            "shortform": name.split()[0].lower(),
            "description": f"{name} of an incident",
            "instructions": vocabulary.paragraph(random),
            **_TIMES,
        }


def _custom_fields(count: int, random: Random) -> Iterator[Record]:
    for index in range(count):
        name, field_type = _FIELDS[index % len(_FIELDS)]
        yield {
            "name": name if index < len(_FIELDS) else f"{name} {index // len(_FIELDS) + 1}",
            "field_type": field_type,
            "description": vocabulary.paragraph(random, 2),
            **_TIMES,
        }


def _field_options(salt: int, field: Record) -> list[Record]:
    if not field["field_type"].endswith("select"):
        return []
    count = 3 + mix(salt ^ hash_text(field["name"])) % 9
    return [
        {
            "id": make_id(salt ^ hash_text(field["id"]), index, 1),
            "custom_field_id": field["id"],
            "value": f"{vocabulary.SERVICES[(index * 3) % len(vocabulary.SERVICES)]} / {index + 1}",
            "sort_key": index * 10,
        }
        for index in range(count)
    ]


def _teams(salt: int, users: list[Record], random: Random) -> Iterator[Record]:
    for index, name in enumerate(vocabulary.TEAMS):
        members = random.sample(users, k=min(4, len(users)))
        yield {
            "name": name,
            "catalog_entry": {"id": make_id(salt, index, 1), "name": name},
            "members": [{key: user[key] for key in ("id", "name", "email")} for user in members],
        }
