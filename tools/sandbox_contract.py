"""The mock API's contract: the facts of the vendor's OpenAPI document, without its prose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tools.openapi import Document, reference_name, references

_KEYWORDS = ("type", "format", "enum", "minimum", "maximum", "default", "required")
_LIMITS = ("minItems", "maxItems", "minLength", "maxLength", "pattern")


def contract(document: Document) -> dict[str, Any]:
    """The content of `sandbox/contract.json`: `endpoints` by path, and the `schemas` of their responses by name."""
    endpoints = {path: _endpoint(document, operation) for path, operation in document.operations.items()}
    return {
        "version": document.version,
        "endpoints": endpoints,
        "schemas": _referenced_schemas(document, [endpoint["response"] for endpoint in endpoints.values()]),
    }


def parameters(document: Document, operation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters of an operation by name: location, type, limits and filter operators."""
    return {parameter["name"]: _parameter(document, parameter) for parameter in operation.get("parameters", [])}


def _endpoint(document: Document, operation: Mapping[str, Any]) -> dict[str, Any]:
    response = operation["responses"].get("200", {})
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
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
    result |= {name: schema[name] for name in _KEYWORDS[:-1] if name in schema}
    if "items" in schema:
        result["items"] = _schema(document.resolve(schema["items"]))
    # The operators of a filter (`created_at[gte]`) are listed only in its description
    _, _, operator_list = parameter.get("description", "").partition("operator")
    operators = sorted(set(re.findall(r"'(\w+)'", operator_list)))
    return result | ({"operators": operators} if operators else {})


def _referenced_schemas(document: Document, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """The schemas that `schemas` refer to, directly or not, by name."""
    found: dict[str, Any] = {}
    names = {name for schema in schemas for name in references(schema)}
    while names:
        name = names.pop()
        found[name] = _schema(document.schemas[name])
        names |= set(references(found[name])) - found.keys()
    return found


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": f"#/schemas/{reference_name(schema)}"}
    result = {name: schema[name] for name in _KEYWORDS + _LIMITS if name in schema}
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
