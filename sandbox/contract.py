"""What the API offers, read from `contract.json` (facts of the vendor's OpenAPI document)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

_CONTRACT = Path(__file__).with_name("contract.json")
_VERSION = re.compile(r"^/v(\d+)/")

# Which list an id in a path or a required parameter is of, where its name does not say it.
_PARENTS = {
    ("/v1/status-pages/{id}/incidents/{incident_id}/response-incidents", "id"): "status_pages",
    (
        "/v1/status-pages/{id}/incidents/{incident_id}/response-incidents",
        "incident_id",
    ): "status_page_incidents",
}
# The vendor's text asks for these although the document does not mark them as required:
# one incident's attachments, one alert's notes.
_NEEDED = {
    ("/v1/incident_attachments", "incident_id"),
    ("/v1/alert_notes", "alert_id"),
}
# /v2/incidents says 500 and is capped at 250 (live).
_CAPS = {"/v2/incidents": 250}


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
    """A GET endpoint that answers with a list, or with one object (`records_key` is None)."""

    path: str
    name: str
    response: Schema
    records_key: str | None
    record_schema: Schema | None
    parameters: dict[str, Schema]
    scopes: tuple[str, ...]
    parents: tuple[tuple[str, str], ...] = ()
    """(parameter or placeholder, name of the list it is an id of), outermost first."""
    page_size_max: int = 0
    page_size_default: int = 25
    page_size_required: bool = False
    has_total: bool = False
    fields: frozenset[str] = field(default=frozenset())
    """The fields of a record."""
    keys: frozenset[str] = field(default=frozenset())
    """What else the body holds beside the records and `pagination_meta`."""

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
        for path, found in self._endpoints.items():
            endpoint = self._endpoint(path, found)
            version = _VERSION.match(path)
            if endpoint is None or version is None:
                continue
            number = int(version[1])
            if endpoint.name not in newest or newest[endpoint.name][0] < number:
                newest[endpoint.name] = (number, endpoint)
        names = set(newest)
        # A show endpoint asks for the id of a record of its own list and is not a list; what is
        # left of those without records has a parent of another name, or none.
        return {name: self._with_parents(endpoint, names) for name, (_, endpoint) in newest.items()}

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself, references followed."""
        while "$ref" in schema:
            schema = self.schemas[self.name_of(schema)]
        return schema

    @staticmethod
    def name_of(schema: Schema) -> str:
        """The name that a reference points to; empty when it is no reference."""
        return str(schema.get("$ref", "")).rsplit("/", 1)[-1]

    def json_schema(self, path: str) -> Schema:
        """The response of a path as a JSON Schema that stands on its own."""
        return {"schemas": self.schemas, **self._endpoints[path]["response"]}

    def _endpoint(self, path: str, found: dict[str, Any]) -> Endpoint | None:
        if _is_show(path) or path in ("/v1/identity", "/v1/openapiV3.json"):
            return None
        response = self.resolve(found["response"])
        properties: dict[str, Schema] = response.get("properties", {})
        if not properties:
            return None
        records_key = next(
            (
                key
                for key, value in properties.items()
                if value.get("type") == "array" and key not in ("pagination_meta",)
            ),
            None,
        )
        parameters: dict[str, Schema] = found["parameters"]
        size = parameters.get("page_size", {})
        meta = self.resolve(properties.get("pagination_meta", {}))
        return Endpoint(
            path=path,
            name=_list_name(path),
            response=found["response"],
            records_key=records_key,
            record_schema=properties[records_key]["items"] if records_key else None,
            parameters=parameters,
            scopes=tuple(found["scopes"]),
            page_size_max=_CAPS.get(path, int(size.get("maximum", 250))) if size else 0,
            page_size_default=int(size.get("default", 25)),
            page_size_required=bool(size.get("required")),
            has_total="total_record_count" in meta.get("properties", {}),
            fields=frozenset(self.resolve(properties[records_key]["items"]).get("properties", ()))
            if records_key
            else frozenset(),
            keys=frozenset(properties) - {records_key, "pagination_meta"},
        )

    @staticmethod
    def _with_parents(endpoint: Endpoint, names: set[str]) -> Endpoint:
        parents = []
        for parameter, facts in endpoint.parameters.items():
            required = facts.get("required") or (endpoint.path, parameter) in _NEEDED
            if not required or parameter == "page_size":
                continue
            parent = _PARENTS.get((endpoint.path, parameter))
            if parent is None and parameter.endswith("_id"):
                parent = plural(parameter.removesuffix("_id"))
            elif parent is None and facts["in"] == "path":
                before = endpoint.path.split("/{" + parameter + "}")[0]
                parent = before.rsplit("/", 1)[-1].replace("-", "_")
            if parent not in names:
                raise ValueError(f"{endpoint.path}: {parameter} is the id of an unknown list")
            parents.append((parameter, parent))
        order = [p for p, _ in parents if "{" + p + "}" in endpoint.path]
        order.sort(key=lambda p: endpoint.path.index("{" + p + "}"))
        parents.sort(key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))
        fields = {f: getattr(endpoint, f) for f in endpoint.__dataclass_fields__}
        return Endpoint(**{**fields, "parents": tuple(parents)})


def _is_show(path: str) -> bool:
    """Whether a path is one record of a list (a single structure of a status page is not)."""
    if path.startswith("/v2/status_page_structures/"):
        return False
    return path.endswith(("}", "/availability", "/ping", "/download"))


def _list_name(path: str) -> str:
    """`/v2/call_routes/{call_route_id}/options` -> `call_route_options`."""
    words = [part.replace("-", "_") for part in path.split("/")[2:] if part and not part.startswith("{")]
    return "_".join([singular(word) for word in words[:-1]] + words[-1:])
