"""The comparison with the vendor's document: each test makes one change to the document."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tools import contract
from tools.openapi import Document


def changed(
    document: Document,
    *,
    path: str | None = None,
    schema: str | None = None,
    change: Callable[[dict[str, Any]], object],
) -> Document:
    """`document` with one operation or one named schema changed in place."""
    content = {**document.content}
    if path is not None:
        item = {"get": copy.deepcopy(dict(document.operations[path]))}
        change(item["get"])
        content["paths"] = {**content["paths"], path: item}
    if schema is not None:
        named = copy.deepcopy(dict(document.schemas[schema]))
        change(named)
        schemas = {**document.schemas, schema: named}
        content["components"] = {**content["components"], "schemas": schemas}
    return Document("changed", content)


def parameter(operation: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in operation["parameters"] if entry["name"] == name)
    return found


def test_streams_match_the_pinned_document(document: Document) -> None:
    assert contract.findings(document) == []


def test_reports_an_endpoint_that_no_stream_reads(document: Document) -> None:
    content = {**document.content}
    paths = content["paths"]
    content["paths"] = {**paths, "/v1/runbooks": paths["/v1/severities"]}
    content["paths"]["/v1/runbooks/{id}"] = paths["/v1/severities/{id}"]
    assert contract.findings(Document("changed", content)) == [
        "/v1/runbooks: no stream reads it, and it is not in UNREAD"
    ]


def test_reports_a_removed_endpoint(document: Document) -> None:
    paths = {path: item for path, item in document.content["paths"].items() if path != "/v3/teams"}
    found = contract.findings(Document("changed", {**document.content, "paths": paths}))
    assert "teams: /v3/teams is not in the document" in found


def test_reports_a_deprecated_endpoint(document: Document) -> None:
    new = changed(document, path="/v3/teams", change=lambda get: get.update(deprecated=True))
    assert contract.findings(new) == ["teams: /v3/teams is deprecated"]


def test_reports_an_unread_endpoint_that_was_removed(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "UNREAD", {**contract.UNREAD, "/v1/faxes": "removed"})
    assert contract.findings(document) == ["/v1/faxes: in UNREAD, but not in the document"]


def test_reports_a_new_field(document: Document) -> None:
    new = changed(
        document,
        schema="SecretV2",
        change=lambda schema: schema["properties"].update(colour={"type": "string"}),
    )
    assert contract.findings(new) == ["secrets: colour: missing in the schema file"]


def test_reports_a_removed_field(document: Document) -> None:
    new = changed(document, schema="SecretV2", change=lambda schema: schema["properties"].pop("name"))
    assert contract.findings(new) == ["secrets: name: not in the document"]


def test_reports_a_changed_type(document: Document) -> None:
    def change(schema: dict[str, Any]) -> None:
        schema["properties"]["version"] = {"type": "string"}

    new = changed(document, schema="SecretV2", change=change)
    assert contract.findings(new) == ["secrets: version: type is ['null', 'string'], was ['null', 'integer']"]


def test_a_changed_nullability_changes_no_schema(document: Document) -> None:
    new = changed(document, schema="SecretV2", change=lambda schema: schema["required"].remove("name"))
    assert contract.findings(new) == []


def test_reports_a_renamed_credential(document: Document) -> None:
    def change(schema: dict[str, Any]) -> None:
        schema["properties"]["last_characters"] = schema["properties"].pop("last_four_chars")

    (found,) = contract.findings(changed(document, schema="SecretV2", change=change))
    assert found.startswith("secrets: /v2/secrets: the schema can't be generated")


def test_reports_a_removed_parameter(document: Document) -> None:
    def change(operation: dict[str, Any]) -> None:
        operation["parameters"].remove(parameter(operation, "include_inactive"))

    assert contract.findings(changed(document, path="/v2/users", change=change)) == [
        "users: sends include_inactive, which /v2/users does not have"
    ]


def test_reports_a_newly_required_parameter(document: Document) -> None:
    def change(operation: dict[str, Any]) -> None:
        parameter(operation, "email")["required"] = True

    assert contract.findings(changed(document, path="/v2/users", change=change)) == [
        "users: does not send email, which /v2/users requires"
    ]


def test_reports_a_removed_filter_operator(document: Document) -> None:
    def change(operation: dict[str, Any]) -> None:
        parameter(operation, "updated_at")["description"] = "The accepted operator is 'lte'."

    assert contract.findings(changed(document, path="/v2/alerts", change=change)) == [
        "alerts: sends updated_at[gte], but updated_at has no such operator"
    ]


def test_reports_a_page_size_over_the_maximum(document: Document) -> None:
    def change(operation: dict[str, Any]) -> None:
        parameter(operation, "page_size")["schema"]["maximum"] = 25

    assert contract.findings(changed(document, path="/v2/alerts", change=change)) == [
        "alerts: page_size is 50; the maximum is 25"
    ]


def test_reports_a_new_status_category(document: Document) -> None:
    """The stream incidents asks for each category by name."""

    def change(schema: dict[str, Any]) -> None:
        schema["properties"]["category"]["enum"].append("monitoring")

    found = contract.findings(changed(document, schema="IncidentStatusV1", change=change))
    assert "incident_statuses: category can be monitoring, which the streams that filter by it do not ask for" in found


def test_differences_fail_the_command(
    document: Document, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = changed(document, path="/v3/teams", change=lambda get: get.update(deprecated=True))
    monkeypatch.setattr(contract, "fetch", lambda version: new)
    assert contract.main(["--newest"]) == 1
    assert "teams: /v3/teams is deprecated" in capsys.readouterr().out
    monkeypatch.setattr(contract, "fetch", lambda version: document)
    assert contract.main([]) == 0
