"""Records made from nothing but the contract's schemas: the lists that nobody wrote by hand.

Values follow from the name of a field and its type; ids of other records and embedded records are
those of the company.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from . import words
from .contract import Contract, Schema, plural
from .ids import make_id
from .lists import Record
from .times import DAY, HOUR, MINUTE, format_date, format_moment

# Records of the company that others embed, by the family of the embedded schema.
_EMBEDDED = {
    "User", "Incident", "Severity", "IncidentStatus", "IncidentType", "IncidentRole", "Team",
    "IncidentTimestamp", "Alert", "AlertTag", "Schedule", "CatalogType", "AlertAttribute",
}  # fmt: skip
_FAMILY = re.compile(r"(V\d+)+$")
_DECORATION = re.compile(r"^(Embedded|Linked)|(Slim|WithRoles|Details|RelationshipDetails)$")
_BIG = 9_007_199_254_740_993  # 2**53 + 1: what a double can't hold
_DEEPEST = 7


class World(Protocol):
    """What the inventor asks the company for."""

    contract: Contract
    anchor_ms: int

    def pick(self, name: str, number: int) -> Record | None:
        """Some record of a list; None when there is no such list or it is empty."""

    def pick_id(self, name: str, number: int) -> str | None:
        """The id of the record that `pick` gives."""


@dataclass
class Context:
    """What is known of the record that is being made."""

    name: str
    random: Random
    at_ms: int
    pins: Record = field(default_factory=dict)
    index: int = 0
    picked: int = 0
    """Counts the users picked, so that a list of people has each but once."""
    start_ms: int = 0

    def __post_init__(self) -> None:
        self.start_ms = self.at_ms
        self.picked = self.random.randrange(1 << 20)


class Inventor:
    def __init__(self, world: World) -> None:
        self._world = world
        self._contract = world.contract

    def record(self, schema: Schema, context: Context) -> Record:
        """A record that the schema accepts; fields of `context.pins` have the values there."""
        made = self._object(schema, context, 0)
        return {**made, **{key: value for key, value in context.pins.items() if key in made}}

    def _object(self, schema: Schema, context: Context, depth: int) -> Record:
        name = _FAMILY.sub("", self._contract.name_of(schema))
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
        made: Record = {}
        for key, value in properties.items():
            if key in embedded:
                made[key] = embedded[key]
            elif depth == 0 and key in context.pins:
                made[key] = context.pins[key]
            elif key in chosen:
                made[key] = chosen[key]
            elif only is not None:
                if key == only:
                    made[key] = self._value(key, value, context, depth + 1)
            elif key in required or self._keep(key, value, chosen, embedded, context, depth):
                made[key] = self._value(key, value, context, depth + 1)
        return made

    @staticmethod
    def _choices(properties: dict[str, Schema], context: Context) -> Record:
        """Enums first: one that names a sibling decides which sibling is there."""
        return {
            key: context.random.choice([v for v in value["enum"] if v != ""])
            for key, value in properties.items()
            if "enum" in value
        }

    @staticmethod
    def _keep(
        key: str,
        value: Schema,
        chosen: Record,
        embedded: Record,
        context: Context,
        depth: int,
    ) -> bool:
        if embedded or depth >= _DEEPEST:
            return False
        if chosen and ("$ref" in value) and key in chosen.values():
            return True
        if chosen and ("$ref" in value) and set(chosen) & {"type", "policy_type"}:
            return False
        return context.random.random() < 0.7

    def _embedded(self, family: str, properties: dict[str, Schema], context: Context) -> Record:
        context.picked += 1
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", family).lower()
        found = self._world.pick(plural(snake), context.picked)
        if found is None or plural(snake) == context.name:
            return {}
        return {
            key: found[key]
            for key, value in properties.items()
            if found.get(key) is not None
            and ("enum" not in value or found[key] in value["enum"])
            and "$ref" not in value
        }

    def _map(self, schema: Schema, context: Context, depth: int) -> Record:
        of = schema.get("additionalProperties")
        if not isinstance(of, dict) or not of:
            return {}
        keys = ["incident.io/terraform/version"] if of.get("type") == "string" else []
        keys = keys or [self._new_id(context) for _ in range(context.random.randint(0, 2))]
        if of.get("type") == "integer":
            keys = ["GBP", "USD"]
        return {key: self._value("value", of, context, depth + 1) for key in keys}

    def _value(self, key: str, schema: Schema, context: Context, depth: int) -> Any:
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

    def _array(self, key: str, schema: Schema, context: Context, depth: int) -> list[Any]:
        least = int(schema.get("minItems", 0))
        most = 0 if depth >= _DEEPEST else 3 if depth <= 2 else 1
        most = min(max(most, least), int(schema.get("maxItems", 99)))
        count = context.random.randint(least, most)
        name = key[:-1] if key.endswith("_ids") else key
        items = [self._value(name, schema["items"], context, depth + 1) for _ in range(count)]
        if all(isinstance(item, str) for item in items):
            items = list(dict.fromkeys(items))
        return items

    @staticmethod
    def _integer(key: str, schema: Schema, context: Context) -> int:
        if key in ("rank", "sort_key", "position"):
            return context.index
        if key == "version" or key.endswith("_version_number"):
            return context.random.randint(1, 40)
        least = int(schema.get("minimum", 0))
        most = int(schema.get("maximum", 5000))
        unbounded = schema.get("format") == "int64" and "maximum" not in schema
        if unbounded and context.random.random() < 0.05:
            return _BIG + context.random.randrange(1000)
        return context.random.randint(least, most)

    def _string(self, key: str, schema: Schema, context: Context) -> str:
        text = self._moment(key, schema, context)
        if text is None:
            text = self._text(key, context)
        text = text[: int(schema.get("maxLength", len(text)))]
        return text or "-" * int(schema.get("minLength", 0))

    def _moment(self, key: str, schema: Schema, context: Context) -> str | None:
        if schema.get("format") != "date-time" and not key.endswith("_at"):
            return {
                "start_date": format_date(context.at_ms),
                "end_date": format_date(context.at_ms + 7 * DAY),
                "start_time": "09:00",
                "end_time": "17:30",
            }.get(key)
        random = context.random
        anchor = self._world.anchor_ms
        if key == "created_at":
            return format_moment(min(context.at_ms, anchor))
        if key == "updated_at":
            return format_moment(min(context.at_ms + random.randrange(2 * DAY), anchor))
        if key.startswith("start") or key == "effective_from":
            context.start_ms = context.at_ms + random.randrange(DAY)
            return format_moment(context.start_ms)
        if key.startswith("end"):
            return format_moment(max(context.start_ms, context.at_ms) + DAY + 8 * HOUR)
        if key.endswith(("archived_at", "cancelled_at", "completed_at", "resolved_at")):
            return format_moment(min(context.at_ms + DAY + random.randrange(DAY), anchor))
        return format_moment(min(context.at_ms + random.randrange(30 * MINUTE), anchor))

    def _new_id(self, context: Context) -> str:
        return make_id(context.random.getrandbits(50), context.random.getrandbits(30), context.at_ms)

    def _text(self, key: str, context: Context) -> str:
        random = context.random
        if key == "id" or key.endswith("_id"):
            return self._id(key, context)
        for pattern, make in _TEXTS:
            if pattern.search(key):
                return make(random, context)
        return f"{random.choice(words.NOUNS)}-{random.randrange(1000)}"

    def _id(self, key: str, context: Context) -> str:
        if key.startswith(("slack_", "microsoft_")) or key == "channel_id":
            return f"{'U' if 'user' in key else 'C'}0{context.random.randrange(36**7):08X}"
        if key == "external_id" or key == "replica_provider_id":
            return f"ext-{context.random.randrange(100000)}"
        parts = key.removesuffix("_id").split("_")
        for start in range(len(parts)):
            name = plural("_".join(parts[start:])) if parts[start:] != ["id"] else ""
            if name and name != context.name:
                context.picked += name == "users"
                found = self._world.pick_id(name, context.random.randrange(1 << 30))
                if found is not None:
                    return found
        if key == "component_id":
            return self._world.pick_id("status_page_components", context.picked) or ""
        return self._new_id(context)


def _name(random: Random, context: Context) -> str:
    what = context.name.replace("_", " ")
    if what.endswith("s"):
        what = what[:-1]
    return f"{random.choice(words.TEAMS)} {what} {context.index + 1}"


def _host(random: Random, context: Context) -> str:
    return f"https://example.test/{random.choice(words.SERVICES)}/{random.randrange(10**6)}"


_TEXTS: list[tuple[re.Pattern[str], Callable[[Random, Context], str]]] = [
    # Credentials are recognisable, so that a test can look for them where they must not be.
    (
        re.compile(r"secret_token|^token$|ping_url|alert_events_url"),
        lambda r, c: f"https://example.test/sandbox-credential/{r.getrandbits(40):x}",
    ),
    (re.compile(r"email"), lambda r, c: f"{r.choice(words.SERVICES)}{c.index}@example.test"),
    (re.compile(r"(^|_)urls?$|permalink|endpoint"), _host),
    (re.compile(r"phone|^address$"), lambda r, c: f"+4420{r.randrange(10**8):08}"),
    (re.compile(r"timezone"), lambda r, c: r.choice(words.TIMEZONES)),
    (re.compile(r"currency"), lambda r, c: r.choice(("GBP", "EUR", "USD"))),
    (re.compile(r"country_code"), lambda r, c: r.choice(("GB", "DE", "JP"))),
    (re.compile(r"cidr"), lambda r, c: f"203.0.113.{c.index * 8 % 256}/29"),
    (re.compile(r"emoji"), lambda r, c: r.choice(("fire", "🔥", "warning"))),
    (re.compile(r"^last_four_chars$"), lambda r, c: f"{r.randrange(16**4):04x}"),
    (re.compile(r"markdown"), lambda r, c: "# Post-mortem\n\n" + words.paragraph(r, 12)),
    (re.compile(r"incident_reference"), lambda r, c: f"INC-{r.randrange(1, 200)}"),
    (
        re.compile(r"description|content|message|summary|reason|comments|instructions|helptext"
                   r"|docstring|greeting|prompt|notes|placeholder|error"),
        lambda r, c: words.paragraph(r),
    ),
    (re.compile(r"participant_name"), lambda r, c: r.choice(words.FIRST_NAMES)),
    (
        re.compile(r"(^|_)(engine_resource_)?type$|^type_name$"),
        lambda r, c: f'Custom["{r.choice(words.TEAMS).split()[0]}{c.index}"]',
    ),
    (re.compile(r"title"), lambda r, c: words.fill(r.choice(words.TASKS), r)),
    (re.compile(r"fingerprint|key$"), lambda r, c: f"{r.getrandbits(64):016x}"),
    (re.compile(r"(^|_)(name|label|item|folder)$"), _name),
    (re.compile(r"value|literal|reference|subject"), lambda r, c: r.choice(words.SERVICES)),
]  # fmt: skip
