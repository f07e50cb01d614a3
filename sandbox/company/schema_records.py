"""Generates records from the contract's schemas.

A field's name and type decide its value. Ids of other records, and embedded records, are taken from
the company's lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sandbox.company import vocabulary
from sandbox.company.base import CompanyBase
from sandbox.contract import Schema, plural
from sandbox.ids import make_id
from sandbox.lists import Record
from sandbox.times import DAY, HOUR, MINUTE, UNSET, format_date, format_record_time

# Names of schemas whose values are copied from the company's records, without version and decoration.
_EMBEDDED = {
    "User", "Incident", "Severity", "IncidentStatus", "IncidentType", "IncidentRole", "Team",
    "IncidentTimestamp", "Alert", "AlertTag", "Schedule", "CatalogType", "AlertAttribute",
}  # fmt: skip
_VERSION = re.compile(r"(V\d+)+$")
_DECORATION = re.compile(r"^(Embedded|Linked)|(Slim|WithRoles|Details|RelationshipDetails)$")
_BIG = 9_007_199_254_740_993  # 2**53 + 1, not representable as a double
_MAX_DEPTH = 7
# Times of something that may not have happened. Some are in the year 1, the API's value for "unset".
_CAN_BE_UNSET = re.compile(r"(archived|cancelled|completed|edited|ended|published|resolved|synced|used)_at$")
_UNSET_SHARE = 0.2


@dataclass
class RecordContext:
    """What is known about a record before it is generated.

    Attributes:
        name: the list's name.
        random: decides the values.
        at_ms: when the record was created.
        fixed: values of fields that are given.
        index: the record's index in its list.
    """

    name: str
    random: Random
    at_ms: int
    fixed: Record = field(default_factory=dict)
    index: int = 0
    start_ms: int = field(init=False)
    """The last generated start time, so that an end time is later."""
    picked: int = field(init=False)
    """Increases with each picked user, so that a list has each user once."""

    def __post_init__(self) -> None:
        self.start_ms = self.at_ms
        self.picked = self.random.randrange(1 << 20)


class SchemaRecords:
    """Generates records that a schema accepts."""

    def __init__(self, company: CompanyBase) -> None:
        self._company = company
        self._contract = company.contract

    def generate(self, schema: Schema, context: RecordContext) -> Record:
        """A record. The fields in `context.fixed` have these values, if the schema has the fields."""
        record = self._object(schema, context, 0)
        return {**record, **{key: value for key, value in context.fixed.items() if key in record}}

    def _object(self, schema: Schema, context: RecordContext, depth: int) -> Record:
        name = _VERSION.sub("", self._contract.name_of(schema))
        schema = self._contract.resolve(schema)
        properties: dict[str, Schema] = schema.get("properties", {})
        if not properties:
            return self._map(schema, context, depth)
        family = _DECORATION.sub("", name)
        embedded: Record = {}
        if depth and family in _EMBEDDED:
            embedded = self._embedded(family, properties, context)
        required = set(schema.get("required", ()))
        chosen = self._choices(properties, context)
        only = None
        if not required and len(properties) > 1 and all("$ref" in p for p in properties.values()):
            only = context.random.choice(list(properties))
        given = {**chosen, **(context.fixed if depth == 0 else {}), **embedded}
        record: Record = {}
        for key, value in properties.items():
            if key in given:
                record[key] = given[key]
            elif only is not None:
                if key == only:
                    record[key] = self._value(key, value, context, depth + 1)
            elif key in required or (
                not embedded and depth < _MAX_DEPTH and self._include_optional(key, value, chosen, context)
            ):
                record[key] = self._value(key, value, context, depth + 1)
        return record

    @staticmethod
    def _choices(properties: dict[str, Schema], context: RecordContext) -> Record:
        """Values of the enums. An enum that names a sibling field decides which sibling exists."""
        return {
            key: context.random.choice([v for v in value["enum"] if v != ""])
            for key, value in properties.items()
            if "enum" in value
        }

    @staticmethod
    def _include_optional(key: str, value: Schema, chosen: Record, context: RecordContext) -> bool:
        """Whether the record has an optional field."""
        if chosen and "$ref" in value:
            if key in chosen.values():
                return True
            if not chosen.keys().isdisjoint({"type", "policy_type"}):
                return False
        return context.random.random() < 0.7

    def _embedded(self, family: str, properties: dict[str, Schema], context: RecordContext) -> Record:
        context.picked += 1
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", family).lower()
        picked = self._company.pick(plural(snake), context.picked)
        if picked is None or plural(snake) == context.name:
            return {}
        return {
            key: picked[key]
            for key, value in properties.items()
            if picked.get(key) is not None
            and ("enum" not in value or picked[key] in value["enum"])
            and "$ref" not in value
        }

    def _map(self, schema: Schema, context: RecordContext, depth: int) -> Record:
        values = schema.get("additionalProperties")
        if not isinstance(values, dict) or not values:
            return {}
        keys = ["incident.io/terraform/version"] if values.get("type") == "string" else []
        keys = keys or [self._new_id(context) for _ in range(context.random.randint(0, 2))]
        if values.get("type") == "integer":
            keys = ["GBP", "USD"]
        return {key: self._value("value", values, context, depth + 1) for key in keys}

    def _value(self, key: str, schema: Schema, context: RecordContext, depth: int) -> Any:
        if "$ref" in schema:
            resolved = self._contract.resolve(schema)
            if resolved.get("type", "object") != "object":
                return self._value(key, resolved, context, depth)
            return self._object(schema, context, depth)
        if "enum" in schema:
            return context.random.choice([v for v in schema["enum"] if v != ""])
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, context, depth)
        if kind == "array":
            return self._array(key, schema, context, depth)
        if kind == "boolean":
            return context.random.random() < 0.5
        if kind == "integer":
            return self._integer(key, schema, context)
        if kind == "number":
            return round(context.random.uniform(0, 600), 2)
        return self._string(key, schema, context)

    def _array(self, key: str, schema: Schema, context: RecordContext, depth: int) -> list[Any]:
        minimum = int(schema.get("minItems", 0))
        maximum = 0 if depth >= _MAX_DEPTH else 3 if depth <= 2 else 1
        maximum = min(max(maximum, minimum), int(schema.get("maxItems", 99)))
        count = context.random.randint(minimum, maximum)
        name = key[:-1] if key.endswith("_ids") else key
        items = [self._value(name, schema["items"], context, depth + 1) for _ in range(count)]
        if all(isinstance(item, str) for item in items):
            items = list(dict.fromkeys(items))
        return items

    @staticmethod
    def _integer(key: str, schema: Schema, context: RecordContext) -> int:
        if key in ("rank", "sort_key", "position"):
            return context.index
        if key == "version" or key.endswith("_version_number"):
            return context.random.randint(1, 40)
        minimum = int(schema.get("minimum", 0))
        maximum = int(schema.get("maximum", 5000))
        unbounded = schema.get("format") == "int64" and "maximum" not in schema
        if unbounded and context.random.random() < 0.05:
            return _BIG + context.random.randrange(1000)
        return context.random.randint(minimum, maximum)

    def _string(self, key: str, schema: Schema, context: RecordContext) -> str:
        text = self._moment(key, schema, context)
        if text is None:
            text = self._text(key, context)
        text = text[: int(schema.get("maxLength", len(text)))]
        return text or "-" * int(schema.get("minLength", 0))

    def _moment(self, key: str, schema: Schema, context: RecordContext) -> str | None:
        if schema.get("format") != "date-time" and not key.endswith("_at"):
            return {
                "start_date": format_date(context.at_ms),
                "end_date": format_date(context.at_ms + 7 * DAY),
                "start_time": "09:00",
                "end_time": "17:30",
            }.get(key)
        random = context.random
        anchor = self._company.anchor_ms
        if _CAN_BE_UNSET.search(key) and random.random() < _UNSET_SHARE:
            return UNSET
        if key == "created_at":
            return format_record_time(min(context.at_ms, anchor))
        if key == "updated_at":
            return format_record_time(min(context.at_ms + random.randrange(2 * DAY), anchor))
        if key.startswith("start") or key == "effective_from":
            context.start_ms = context.at_ms + random.randrange(DAY)
            return format_record_time(context.start_ms)
        if key.startswith("end"):
            return format_record_time(max(context.start_ms, context.at_ms) + DAY + 8 * HOUR)
        if key.endswith(("archived_at", "cancelled_at", "completed_at", "resolved_at")):
            return format_record_time(min(context.at_ms + DAY + random.randrange(DAY), anchor))
        return format_record_time(min(context.at_ms + random.randrange(30 * MINUTE), anchor))

    def _new_id(self, context: RecordContext) -> str:
        return make_id(context.random.getrandbits(50), context.random.getrandbits(30), context.at_ms)

    def _text(self, key: str, context: RecordContext) -> str:
        random = context.random
        if key == "id" or key.endswith("_id"):
            return self._id(key, context)
        for pattern, make in _TEXTS:
            if pattern.search(key):
                return make(random, context)
        return f"{random.choice(vocabulary.NOUNS)}-{random.randrange(1000)}"

    def _id(self, key: str, context: RecordContext) -> str:
        if key.startswith(("slack_", "microsoft_")) or key == "channel_id":
            return f"{'U' if 'user' in key else 'C'}0{context.random.randrange(36**7):08X}"
        if key == "external_id" or key == "replica_provider_id":
            return f"ext-{context.random.randrange(100000)}"
        parts = key.removesuffix("_id").split("_")
        for start in range(len(parts)):
            name = plural("_".join(parts[start:])) if parts[start:] != ["id"] else ""
            if name and name != context.name:
                context.picked += name == "users"
                picked = self._company.pick_id(name, context.random.randrange(1 << 30))
                if picked is not None:
                    return picked
        if key == "component_id":
            return self._company.pick_id("status_page_components", context.picked) or ""
        return self._new_id(context)


def _name(random: Random, context: RecordContext) -> str:
    kind = context.name.replace("_", " ").removesuffix("s")
    return f"{random.choice(vocabulary.TEAMS)} {kind} {context.index + 1}"


def _url(random: Random, context: RecordContext) -> str:
    return f"https://example.test/{random.choice(vocabulary.SERVICES)}/{random.randrange(10**6)}"


# Field names (pattern) and how to generate their text; the first match is used.
_TEXTS: list[tuple[re.Pattern[str], Callable[[Random, RecordContext], str]]] = [
    # Recognizable credentials, so that a test can check that they are not emitted.
    (
        re.compile(r"secret_token|^token$|ping_url|alert_events_url"),
        lambda r, c: f"https://example.test/sandbox-credential/{r.getrandbits(40):x}",
    ),
    (re.compile(r"email"), lambda r, c: f"{r.choice(vocabulary.SERVICES)}{c.index}@example.test"),
    (re.compile(r"(^|_)urls?$|permalink|endpoint"), _url),
    (re.compile(r"phone|^address$"), lambda r, c: f"+4420{r.randrange(10**8):08}"),
    (re.compile(r"timezone"), lambda r, c: r.choice(vocabulary.TIMEZONES)),
    (re.compile(r"currency"), lambda r, c: r.choice(("GBP", "EUR", "USD"))),
    (re.compile(r"country_code"), lambda r, c: r.choice(("GB", "DE", "JP"))),
    (re.compile(r"cidr"), lambda r, c: f"203.0.113.{c.index * 8 % 256}/29"),
    (re.compile(r"emoji"), lambda r, c: r.choice(("fire", "🔥", "warning"))),
    (re.compile(r"^last_four_chars$"), lambda r, c: f"{r.randrange(16**4):04x}"),
    (re.compile(r"markdown"), lambda r, c: "# Post-mortem\n\n" + vocabulary.paragraph(r, 12)),
    (re.compile(r"incident_reference"), lambda r, c: f"INC-{r.randrange(1, 200)}"),
    (
        re.compile(r"description|content|message|summary|reason|comments|instructions|helptext"
                   r"|docstring|greeting|prompt|notes|placeholder|error"),
        lambda r, c: vocabulary.paragraph(r),
    ),
    (re.compile(r"participant_name"), lambda r, c: r.choice(vocabulary.FIRST_NAMES)),
    (
        re.compile(r"(^|_)(engine_resource_)?type$|^type_name$"),
        lambda r, c: f'Custom["{r.choice(vocabulary.TEAMS).split()[0]}{c.index}"]',
    ),
    (re.compile(r"title"), lambda r, c: vocabulary.fill(r.choice(vocabulary.TASKS), r)),
    (re.compile(r"fingerprint|key$"), lambda r, c: f"{r.getrandbits(64):016x}"),
    (re.compile(r"(^|_)(name|label|item|folder)$"), _name),
    (re.compile(r"value|literal|reference|subject"), lambda r, c: r.choice(vocabulary.SERVICES)),
]  # fmt: skip
