"""The facts of the vendor's document, without its prose: the sandbox's contract.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tools.document import Document, reference_name, references

_SCHEMA_FACTS = ("type", "format", "enum", "minimum", "maximum", "default", "required")
_LIMITS = ("minItems", "maxItems", "minLength", "maxLength", "pattern")


def facts(document: Document) -> dict[str, Any]:
    """What can be read (`endpoints`, by path) and the schemas of the answers (`schemas`)."""
    endpoints = {path: _endpoint(document, operation) for path, operation in document.operations.items()}
    return {
        "version": document.version,
        "endpoints": endpoints,
        "schemas": _closure(document, [endpoint["response"] for endpoint in endpoints.values()]),
    }


def parameters(document: Document, operation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What an operation can be asked with, by name: where it goes, its type and its limits."""
    return {parameter["name"]: _parameter(document, parameter) for parameter in operation.get("parameters", [])}


def _endpoint(document: Document, operation: Mapping[str, Any]) -> dict[str, Any]:
    answer = operation["responses"].get("200", {})
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return {
        "deprecated": bool(operation.get("deprecated", False)),
        "scopes": sorted(operation.get("x-rbac-scopes", [])),
        "parameters": parameters(document, operation),
        "response": _schema(schema),
    }


def _parameter(document: Document, parameter: Mapping[str, Any]) -> dict[str, Any]:
    schema = document.resolve(parameter["schema"])
    result: dict[str, Any] = {
        "in": parameter["in"],
        "required": bool(parameter.get("required", False)),
    }
    result |= {name: schema[name] for name in _SCHEMA_FACTS[:-1] if name in schema}
    if "items" in schema:
        result["items"] = _schema(document.resolve(schema["items"]))
    # Only the description says which operators a filter has: `created_at[gte]`
    _, _, after = parameter.get("description", "").partition("operator")
    operators = sorted(set(re.findall(r"'(\w+)'", after)))
    return result | ({"operators": operators} if operators else {})


def _closure(document: Document, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    closed: dict[str, Any] = {}
    names = {name for schema in schemas for name in references(schema)}
    while names:
        name = names.pop()
        schema = document.schemas[name]
        closed[name] = _schema(schema)
        names |= set(references(closed[name])) - closed.keys()
    return closed


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": f"#/schemas/{reference_name(schema)}"}
    result = {name: schema[name] for name in _SCHEMA_FACTS + _LIMITS if name in schema}
    if "properties" in schema:
        result["properties"] = {name: _schema(value) for name, value in schema["properties"].items()}
    if "items" in schema:
        result["items"] = _schema(schema["items"])
    if isinstance(schema.get("additionalProperties"), Mapping):
        result["additionalProperties"] = _schema(schema["additionalProperties"])
    for name in ("oneOf", "anyOf", "allOf"):
        if name in schema:
            result[name] = [_schema(branch) for branch in schema[name]]
    return result
