"""Columns that only the answer for a single record has: which requests they cost, and what they hold."""

from __future__ import annotations

import pytest

from integration_tests.support.account import Account, declarations
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import assert_same_records
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import MakeTap
from sandbox import Sandbox

STREAMS = ("alert_routes", "workflows")


def details(sandbox: Sandbox, path: str) -> list[str]:
    """The requests for single records of a list."""
    return sorted(entry["path"] for entry in sandbox.requests()["log"] if entry["path"].startswith(f"{path}/"))


@pytest.mark.parametrize("name", STREAMS)
def test_reads_the_details_of_each_record_once(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, name: str
) -> None:
    sandbox = new_sandbox(incidents=3)
    run = tap_of(sandbox).read(catalog.of(protocol, [name])).ok()
    path = declarations()[name].endpoint
    requested = details(sandbox, path)
    expected = Account(sandbox).stream(name)
    assert requested == sorted(f"{path}/{record['id']}" for record in expected)
    assert_same_records(run.records[name], expected, ["id"], name)
    for column in declarations()[name].detail_columns:
        assert any(record.get(column) for record in run.records[name]), column
    assert b"sandbox-credential" not in run.stdout


@pytest.mark.parametrize("name", STREAMS)
def test_requests_no_details_if_their_columns_are_not_selected(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, name: str
) -> None:
    sandbox = new_sandbox(incidents=3)
    columns = list(declarations()[name].detail_columns)
    run = tap_of(sandbox).read(catalog.of(protocol, [name], without={name: columns})).ok()
    assert len(run.records[name]) == 7
    assert not any(column in record for record in run.records[name] for column in columns)
    path = declarations()[name].endpoint
    assert details(sandbox, path) == []
    one = tap_of(sandbox).read(catalog.of(protocol, [name], without={name: columns[1:]})).ok()
    assert any(record[columns[0]] is not None for record in one.records[name])
    assert len(details(sandbox, path)) == 7


def test_keeps_a_record_that_was_deleted_after_its_page_was_read(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3, fault=["404:path=/v2/workflows/*,times=1"])
    records = tap_of(sandbox).read(catalog.of(protocol, ["workflows"])).ok().records["workflows"]
    assert sum(record.get("step_details") is None for record in records) == 1
    assert len(records) == 7
