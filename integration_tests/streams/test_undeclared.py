"""Fields that no schema declares: their column, credentials among them, catalogs without the column, and types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from integration_tests.clients.singer.targets import DuckDB, Jsonl, Target
from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import ROOT, SINGER, MakeTap, Run
from sandbox import Sandbox

NOT_IN_SCHEMA = "is not in the catalog's schema"
PLANTED = "planted-credential"


def add_fields(sandbox: Sandbox, name: str, /, **fields: Any) -> list[dict[str, Any]]:
    """Add fields to all records of a list; return the records."""
    records = [{**record, **fields} for record in sandbox.records(name)]
    assert records
    sandbox.put(name, records)
    return records


def only(catalog: Catalog, protocol: str, name: str, *columns: str) -> dict[str, Any]:
    """A catalog that selects some columns of one stream."""
    others = catalog.airbyte[name]["json_schema"]["properties"].keys() - set(columns)
    return catalog.of(protocol, [name], without={name: sorted(others)})


def test_undeclared_fields_are_emitted_in_their_column(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=5)
    add_fields(sandbox, "severities", colour={"hue": 7}, size=None)
    user = sandbox.records("users")[0]
    sandbox.put("users", [{**user, "base_role": {**(user.get("base_role") or {}), "shade": 1}}])
    run = tap_of(sandbox).read(catalog.of(protocol, ["severities", "users"])).ok()
    assert run.records["severities"]
    for record in run.records["severities"]:
        assert record["_undeclared"] == {"colour": {"hue": 7}, "size": None}
        assert "colour" not in record
    for record in run.records["users"]:
        assert "_undeclared" not in record
        if record["id"] == user["id"]:
            assert record["base_role"]["shade"] == 1
    assert "colour" not in run.log


@pytest.mark.parametrize("protocol", [SINGER])
def test_a_sync_without_a_catalog_has_the_column(new_sandbox: StartSandbox, tap_of: MakeTap) -> None:
    sandbox = new_sandbox(incidents=5)
    add_fields(sandbox, "severities", colour=7)
    run = tap_of(sandbox).read().ok()
    assert {record["_undeclared"]["colour"] for record in run.records["severities"]} == {7}


def test_without_the_column_undeclared_fields_are_dropped_and_named_once(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=5)
    add_fields(sandbox, "severities", colour={"hue": 7})
    add_fields(sandbox, "users", base_role={"id": "1", "shade": 1})
    names = ["severities", "users"]
    selected = catalog.of(protocol, names, without={name: ["_undeclared"] for name in names})
    run = tap_of(sandbox).read(selected).ok()
    declared = catalog.airbyte["severities"]["json_schema"]["properties"].keys()
    assert all(record.keys() <= declared - {"_undeclared"} for record in run.records["severities"])
    assert all(record["base_role"] == {"id": "1"} for record in run.records["users"])
    assert len(run.log_lines(NOT_IN_SCHEMA)) == 2
    assert len(run.log_lines("severities.colour", NOT_IN_SCHEMA)) == 1
    assert len(run.log_lines("users.base_role.shade", NOT_IN_SCHEMA)) == 1


@pytest.mark.parametrize("with_column", [True, False])
def test_undeclared_credentials_are_withheld_and_named_once(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, with_column: bool
) -> None:
    sandbox = new_sandbox(incidents=5)
    add_fields(
        sandbox,
        "alert_sources",
        signing_secret=PLANTED,
        webhook={"url": PLANTED},
        delivery={"webhook_options": [{"url": PLANTED}], "access_token": PLANTED},
        http_custom_options={"transform_expression": "x", "secret_token": PLANTED},
    )
    without = {} if with_column else {"alert_sources": ["_undeclared"]}
    run = tap_of(sandbox).read(catalog.of(protocol, ["alert_sources"], without=without)).ok()
    assert run.records["alert_sources"]
    for record in run.records["alert_sources"]:
        assert record["http_custom_options"] == {"transform_expression": "x"}
        assert record.get("_undeclared") == ({"delivery": {"webhook_options": [{}]}} if with_column else None)
    assert PLANTED.encode() not in run.stdout
    assert PLANTED not in run.stderr
    withheld = ["signing_secret", "webhook", "http_custom_options.secret_token"]
    if with_column:
        withheld += ["delivery.access_token", "delivery.webhook_options.url"]
    assert len(run.log_lines("is withheld")) == len(withheld)
    for field in withheld:
        assert len(run.log_lines(f"alert_sources.{field} is withheld")) == 1


def test_the_catalogs_columns_limit_what_is_emitted(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    run = tap_of(shared_sandbox).read(only(catalog, protocol, "alert_sources", "id")).ok()
    assert run.records["alert_sources"]
    assert all(record.keys() == {"id"} for record in run.records["alert_sources"])


def test_a_new_catalog_has_no_warning_about_a_field(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    run = tap_of(shared_sandbox).read(catalog.of(protocol, catalog.airbyte)).ok()
    for words in (NOT_IN_SCHEMA, "the schema lacks", "is withheld", "has values of type", "beyond 64 bits"):
        assert run.log_lines(words) == []


@pytest.mark.parametrize("protocol", [SINGER])
def test_a_kept_catalog_that_lacks_columns_has_one_warning_per_stream(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog
) -> None:
    selected = catalog.of(SINGER, ["severities", "users"])
    for entry in selected["streams"]:
        removed = {"severities": ("rank", "_undeclared"), "users": ("email",)}.get(entry["stream"], ())
        for column in removed:
            del entry["schema"]["properties"][column]
        entry["metadata"] = [item for item in entry["metadata"] if item["breadcrumb"][1:] not in [[c] for c in removed]]
    run = tap_of(shared_sandbox).read(selected).ok()
    (severities,) = run.log_lines("severities: the schema lacks")
    (users,) = run.log_lines("users: the schema lacks")
    assert "lacks _undeclared, rank, which" in severities
    assert "lacks email, which" in users
    assert not any("rank" in record for record in run.records["severities"])
    assert run.log_lines(NOT_IN_SCHEMA) == []


def test_a_value_of_an_unexpected_type_passes_and_is_named_once(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=5)
    add_fields(sandbox, "severities", rank="first", description=["a"])
    add_fields(sandbox, "incident_types", name=None, is_default=2.0**70)
    run = tap_of(sandbox).read(catalog.of(protocol, ["severities", "incident_types"])).ok()
    assert all(record["rank"] == "first" for record in run.records["severities"])
    assert all(record["description"] == ["a"] for record in run.records["severities"])
    assert all(record["name"] is None for record in run.records["incident_types"])
    for line in (
        "severities.rank has values of type string, and the schema allows integer or null",
        "severities.description has values of type array, and the schema allows null or string",
        "incident_types.is_default has values of type number, and the schema allows boolean or null",
        "incident_types.is_default has a number beyond 64 bits",
    ):
        assert len(run.log_lines(line)) == 1
    assert run.log_lines("incident_types.name") == []


# Destinations


@pytest.fixture
def singer_run(new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog) -> Run:
    """A sync of two streams. Only one of them has undeclared fields, and it has nulls in required fields."""
    sandbox = new_sandbox(incidents=5)
    first, *_ = add_fields(sandbox, "severities", description=None, rank=None)
    sandbox.put("severities", [{**first, "colour": {"hue": 7, "names": ["red"]}, "size": 1}])
    return tap_of(sandbox).read(catalog.of(SINGER, ["severities", "incident_types"])).ok()


@pytest.mark.parametrize("protocol", [SINGER])
@pytest.mark.parametrize(
    ("program", "make"),
    [
        (".venv-targets/bin/target-duckdb", DuckDB),
        pytest.param(".venv-singer/bin/target-jsonl", Jsonl, marks=pytest.mark.clients),
    ],
    ids=["duckdb", "jsonl"],
)
def test_undeclared_fields_reach_a_destination(
    program: str, make: Callable[[Path], Target], singer_run: Run, tmp_path: Path
) -> None:
    if not (ROOT / program).exists():
        pytest.skip(f"{program} is not installed")
    target = make(tmp_path)
    target.load(singer_run.stdout)
    rows = target.rows(["severities", "incident_types"])
    found = [as_object(row.get("_undeclared")) for row in rows["severities"]]
    assert len(found) == len(singer_run.records["severities"])
    assert [value for value in found if value] == [{"colour": {"hue": 7, "names": ["red"]}, "size": 1}]
    assert [row.get("_undeclared") for row in rows["incident_types"]] == [None] * len(rows["incident_types"])


@pytest.mark.parametrize("protocol", [SINGER])
def test_records_with_undeclared_fields_and_nulls_are_valid(singer_run: Run) -> None:
    """As target-jsonl and other targets check them."""
    schemas = {message["stream"]: message["schema"] for message in singer_run.of_type("SCHEMA")}
    for message in singer_run.of_type("RECORD"):
        jsonschema.Draft7Validator(schemas[message["stream"]]).validate(message["record"])


def as_object(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
