"""The sandbox's responses conform to the vendor's contract."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from sandbox import Sandbox
from sandbox.computed import COMPUTED
from sandbox.contract import Contract, Endpoint
from sandbox.sample_requests import sample_parameters

from .conftest import Client

CONTRACT = Contract()
JSON_ENDPOINTS = [endpoint for endpoint in CONTRACT.endpoints.values() if endpoint.name not in COMPUTED]
TABLE = Path(__file__).parents[3] / "shared" / "reference" / "streams.tsv"

_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def request_for(endpoint: Endpoint, parents: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The path and the query for one parent."""
    path = endpoint.path
    query: dict[str, Any] = dict(parents)
    for name in list(query):
        if "{" + name + "}" in path:
            path = path.replace("{" + name + "}", query.pop(name))
    if endpoint.paged:
        query["page_size"] = endpoint.page_size_max
    if endpoint.name == "on_call_notification_pauses":
        query["from"] = "2020-01-01T00:00:00Z"
    return path, query


@pytest.mark.parametrize("endpoint", JSON_ENDPOINTS, ids=lambda e: e.name)
def test_every_response_conforms_to_the_contract(sandbox: Sandbox, client: Client, endpoint: Endpoint) -> None:
    schema = CONTRACT.json_schema(endpoint.path)
    validator = Draft7Validator(schema, format_checker=_formats)
    count = 0
    for parents in sample_parameters(sandbox, endpoint):
        path, query = request_for(endpoint, parents)
        for _ in range(50):
            body = client.ok(path, **query)
            # The schema allows a page_size of 250 in the body, though users and schedules have
            # pages of up to 10,000 records.
            if endpoint.paged and query["page_size"] > 250:
                body["pagination_meta"]["page_size"] = 250
            errors = [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator.iter_errors(body)]
            assert errors == []
            count += len(body[endpoint.records_key]) if endpoint.records_key else 1
            after = (body.get("pagination_meta") or {}).get("after")
            if not endpoint.paged or after is None:
                break
            query["after"] = after
    assert count > 0, "the list has no records to check"


@pytest.mark.parametrize(
    "endpoint",
    [e for e in CONTRACT.endpoints.values() if e.paged],
    ids=lambda e: e.name,
)
def test_pages_contain_every_record_once(sandbox: Sandbox, client: Client, endpoint: Endpoint) -> None:
    for parents in sample_parameters(sandbox, endpoint)[:3]:
        path, query = request_for(endpoint, parents)
        assert endpoint.records_key is not None
        at_once = client.all(path, endpoint.records_key, **query)
        query["page_size"] = max(1, len(at_once) // 3)
        query["page_size"] = min(query["page_size"], endpoint.page_size_max)
        in_pages = client.all(path, endpoint.records_key, **query)
        for record in in_pages if endpoint.name == "schedules" else ():
            record.pop("next_shifts", None)  # on small pages only
        assert in_pages == at_once
        ids = [record["id"] for record in at_once]
        assert len(set(ids)) == len(ids)


def test_the_availability_of_a_component_conforms_to_the_contract(sandbox: Sandbox, client: Client) -> None:
    page = sandbox.records("status_pages")[0]["id"]
    structure = client.get(f"/v2/status_page_structures/{page}").text
    (component,) = re.findall(r'"component_id": *"(\w+)"', structure)[:1]
    template = "/v2/status_pages/{status_page_id}/components/{component_id}/availability"
    path = template.format(status_page_id=page, component_id=component)
    body = client.ok(path, start_at="2026-01-01T00:00:00Z", end_at="2026-02-01T00:00:00Z")
    errors = Draft7Validator(CONTRACT.json_schema(template), format_checker=_formats).iter_errors(body)
    assert [error.message for error in errors] == []
    assert body["availability"]["component_id"] == component


def test_a_pay_report_is_a_csv_file_with_a_line_per_user(sandbox: Sandbox, client: Client) -> None:
    report = sandbox.records("pay_reports")[0]["id"]
    response = client.get(f"/v2/pay_reports/{report}/download")
    assert response.headers["Content-Type"] == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) == 20
    assert all(row["Email"] for row in rows)


def test_four_lists_have_a_total_record_count(sandbox: Sandbox, client: Client) -> None:
    found = set()
    for endpoint in JSON_ENDPOINTS:
        path, query = request_for(endpoint, sample_parameters(sandbox, endpoint)[0])
        meta = client.ok(path, **query).get("pagination_meta") or {}
        if "total_record_count" in meta:
            found.add(endpoint.path)
    assert found == {"/v2/incidents", "/v2/schedules", "/v2/workflow_runs", "/v3/catalog_entries"}


def test_serves_every_list_of_the_reference_table() -> None:
    if not TABLE.exists():
        pytest.skip("../shared/reference/streams.tsv, the reference table, is missing")
    with TABLE.open() as file:
        paths = {row["path"] for row in csv.DictReader(file, delimiter="\t")}
    assert paths - {endpoint.path for endpoint in CONTRACT.endpoints.values()} == set()


def test_some_incidents_lack_each_optional_field(sandbox: Sandbox) -> None:
    found = sandbox.records("incidents")
    for name in ("severity", "summary", "call_url", "postmortem_document_url"):
        has = [name in record for record in found]
        assert any(has), name
        assert not all(has), name


def test_records_contain_difficult_values(sandbox: Sandbox) -> None:
    text = str(sandbox.records("incidents")) + str(sandbox.records("incident_updates"))
    assert "検索" in text
    assert "\\u200b" in text or "\u200b" in text
    assert "9007199254740993" in text
    longest = max(len(u.get("message", "")) for u in sandbox.records("incident_updates"))
    assert longest > 3000
