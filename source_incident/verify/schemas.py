"""Compares records with a stream's schema, and reports where they differ by the path of the field."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from source_incident.projection import JSON_TYPES
from source_incident.streams.page import Record
from source_incident.timestamps import parse_timestamp
from source_incident.verify.assumption import field_name


@dataclass
class Differences:
    """Where records differ from a schema. Each counts the records' values by path.

    Attributes:
        wrong_types: values of another type, null where the schema does not allow it, and timestamps that are none.
        unknown: fields that the schema does not have.
    """

    wrong_types: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, value: Any, schema: Mapping[str, Any], path: str) -> None:
        """Compare a value with its schema."""
        expected = schema.get("type", [])
        types = [expected] if isinstance(expected, str) else expected
        actual = _json_type(value)
        if types and actual not in types and not (actual == "integer" and "number" in types):
            allowed = " or ".join(sorted(types, key=lambda name: name == "null"))
            self.wrong_types[f"{path} is {actual} instead of {allowed}"] += 1
        elif isinstance(value, dict):
            self._add_object(value, schema, path)
        elif isinstance(value, list):
            for element in value:
                self.add(element, schema.get("items", {}), f"{path}[]")
        elif isinstance(value, str) and schema.get("format") == "date-time" and not _is_timestamp(value):
            self.wrong_types[f"{path} is not a timestamp"] += 1

    def _add_object(self, value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> None:
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        for name, described in properties.items():
            if name in value:
                self.add(value[name], described, f"{path}.{name}")
        for name in value.keys() - properties.keys():
            if isinstance(others, Mapping):
                self.add(value[name], others, f"{path}.*")
            elif properties:
                self.unknown[f"{path}.{field_name(name)}"] += 1


def differences(name: str, records: Iterable[Record], schema: Mapping[str, Any]) -> Differences:
    """Compare records with the schema of their stream.

    Args:
        name: the stream's name, the first part of each path.
        records: the records.
        schema: the schema.
    """
    found = Differences()
    for record in records:
        found.add(record, {**schema, "type": "object"}, name)
    return found


def _json_type(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return "integer"
    return JSON_TYPES[type(value)]


def _is_timestamp(value: str) -> bool:
    try:
        parse_timestamp(value)
    except (ValueError, OverflowError):
        return False
    return True
