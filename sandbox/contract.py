"""The API's endpoints and schemas, read from `contract.json` (generated from the vendor's OpenAPI document)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

_CONTRACT = Path(__file__).with_name("contract.json")
_VERSION = re.compile(r"^/v(\d+)/")

# (path, parameter) -> the list that the id belongs to, where the parameter's name differs.
_PARENTS = {
    ("/v1/status-pages/{id}/incidents/{incident_id}/response-incidents", "id"): "status_pages",
    (
        "/v1/status-pages/{id}/incidents/{incident_id}/response-incidents",
        "incident_id",
    ): "status_page_incidents",
    (
        "/v2/status_pages/{status_page_id}/components/{component_id}/availability",
        "component_id",
    ): "status_page_components",
}
# Single records that streams read, by path, with the name of the body.
_SINGLE_RECORDS = {
    "/v2/pay_reports/{id}/download": "pay_report_lines",
    "/v2/status_pages/{status_page_id}/components/{component_id}/availability": "status_page_component_availability",
    "/v2/workflows/{id}": "workflow_details",
    "/v3/alert_routes/{id}": "alert_route_details",
}
# Required by the document's text, though not marked as required in its schema.
_REQUIRED = {
    ("/v1/incident_attachments", "incident_id"),
    ("/v1/alert_notes", "alert_id"),
}
# The document allows 500; the API returns at most 250 (live).
_PAGE_SIZE_MAX = {"/v2/incidents": 250}


def singular(name: str) -> str:
    """`severities` -> `severity`, `incident_statuses` -> `incident_status`."""
    for ending, replacement in (("ies", "y"), ("statuses", "status"), ("s", "")):
        if name.endswith(ending):
            return name[: len(name) - len(ending)] + replacement
    return name


def plural(name: str) -> str:
    """`severity` -> `severities`, `incident_status` -> `incident_statuses`."""
    if name.endswith("y") and not name.endswith(("ay", "ey", "oy")):
        return name[:-1] + "ies"
    return name + ("es" if name.endswith("s") else "s")


@dataclass(frozen=True)
class Endpoint:
    """A GET endpoint that returns a list, or one object (`records_key` is None)."""

    path: str
    name: str
    response: Schema
    records_key: str | None
    record_schema: Schema | None
    parameters: dict[str, Schema]
    scopes: tuple[str, ...]
    parents: tuple[tuple[str, str], ...] = ()
    """(parameter or placeholder, name of the list that its id belongs to), outermost first."""
    page_size_max: int = 0
    page_size_default: int = 25
    page_size_required: bool = False
    has_total: bool = False
    fields: frozenset[str] = field(default=frozenset())
    """The fields of a record."""
    keys: frozenset[str] = field(default=frozenset())
    """Keys of the body other than the records and `pagination_meta`."""

    @property
    def paged(self) -> bool:
        return self.page_size_max > 0

    def filters(self, name: str) -> bool:
        """Whether `name[operator]=value` is a filter of this list."""
        return self.parameters.get(name, {}).get("type") == "object"


class Contract:
    """The endpoints and schemas of the contract."""

    def __init__(self, path: Path = _CONTRACT) -> None:
        document = json.loads(path.read_bytes())
        self.version: str = document["version"]
        self.schemas: dict[str, Schema] = document["schemas"]
        self._endpoints: dict[str, Any] = document["endpoints"]

    @cached_property
    def endpoints(self) -> dict[str, Endpoint]:
        """The newest version of every list, by the list's name."""
        newest: dict[str, tuple[int, Endpoint]] = {}
        for path, facts in self._endpoints.items():
            endpoint = self._endpoint(path, facts)
            version = _VERSION.match(path)
            if endpoint is None or version is None:
                continue
            number = int(version[1])
            if endpoint.name not in newest or newest[endpoint.name][0] < number:
                newest[endpoint.name] = (number, endpoint)
        names = set(newest)
        return {name: self._with_parents(endpoint, names) for name, (_, endpoint) in newest.items()}

    @cached_property
    def alert_group_notes(self) -> Endpoint:
        """/v1/alert_notes with an `alert_group_id`: a list of its own, because a note has an alert or a group."""
        parents = (("alert_group_id", "alert_groups"),)
        return replace(self.endpoints["alert_notes"], name="alert_group_notes", parents=parents)

    def resolve(self, schema: Schema) -> Schema:
        """The schema that a reference points to."""
        while "$ref" in schema:
            schema = self.schemas[self.name_of(schema)]
        return schema

    @staticmethod
    def name_of(schema: Schema) -> str:
        """The name of the schema that a reference points to; empty for a schema that is no reference."""
        return str(schema.get("$ref", "")).rsplit("/", 1)[-1]

    def json_schema(self, path: str) -> Schema:
        """The response of a path as a self-contained JSON Schema."""
        return {"schemas": self.schemas, **self._endpoints[path]["response"]}

    def _endpoint(self, path: str, facts: dict[str, Any]) -> Endpoint | None:
        if _is_single_record(path) or path in ("/v1/identity", "/v1/openapiV3.json"):
            return None
        properties: dict[str, Schema] = self.resolve(facts["response"]).get("properties", {})
        if not properties and path not in _SINGLE_RECORDS:
            return None
        arrays = (key for key, value in properties.items() if value.get("type") == "array" and key != "pagination_meta")
        records_key = next(arrays, None)
        record_schema = properties[records_key]["items"] if records_key else None
        parameters: dict[str, Schema] = facts["parameters"]
        size = parameters.get("page_size", {})
        meta = self.resolve(properties.get("pagination_meta", {}))
        return Endpoint(
            path=path,
            name=_SINGLE_RECORDS.get(path) or _list_name(path),
            response=facts["response"],
            records_key=records_key,
            record_schema=record_schema,
            parameters=parameters,
            scopes=tuple(facts["scopes"]),
            page_size_max=_PAGE_SIZE_MAX.get(path, int(size.get("maximum", 250))) if size else 0,
            page_size_default=int(size.get("default", 25)),
            page_size_required=bool(size.get("required")),
            has_total="total_record_count" in meta.get("properties", {}),
            fields=frozenset(self.resolve(record_schema).get("properties", ()) if record_schema else ()),
            keys=frozenset(properties) - {records_key, "pagination_meta"},
        )

    @staticmethod
    def _with_parents(endpoint: Endpoint, names: set[str]) -> Endpoint:
        parents = []
        for parameter, facts in endpoint.parameters.items():
            required = facts.get("required") or (endpoint.path, parameter) in _REQUIRED
            if not required or parameter == "page_size" or facts.get("format") == "date-time":
                continue
            parent = _parent_list(endpoint.path, parameter, facts)
            if parent not in names:
                problem = f"{endpoint.path}: {parameter} is not the id of a known list"
                raise ValueError(f"contract: {problem}. Add it to _PARENTS in contract.py")
            parents.append((parameter, parent))
        # Placeholders in the order of the path, then query parameters.
        positions = {parameter: endpoint.path.find("{" + parameter + "}") for parameter, _ in parents}
        parents.sort(key=lambda pair: (positions[pair[0]] < 0, positions[pair[0]]))
        return replace(endpoint, parents=tuple(parents))


def _parent_list(path: str, parameter: str, facts: dict[str, Any]) -> str:
    """The list that the id in a parameter or placeholder belongs to; empty if it is not an id."""
    if (path, parameter) in _PARENTS:
        return _PARENTS[path, parameter]
    if parameter.endswith("_id"):
        return plural(parameter.removesuffix("_id"))
    if facts["in"] == "path":
        return path.split("/{" + parameter + "}")[0].rsplit("/", 1)[-1].replace("-", "_")
    return ""


def _is_single_record(path: str) -> bool:
    """Whether a path returns one record of a list that no stream reads. The structure of a status page has no list."""
    if path.startswith("/v2/status_page_structures/") or path in _SINGLE_RECORDS:
        return False
    return path.endswith(("}", "/availability", "/ping", "/download"))


def _list_name(path: str) -> str:
    """`/v2/call_routes/{call_route_id}/options` -> `call_route_options`."""
    words = [part.replace("-", "_") for part in path.split("/")[2:] if part and not part.startswith("{")]
    return "_".join([singular(word) for word in words[:-1]] + words[-1:])
