"""Pay report lines and the availability of components: what is requested, emitted and refused."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from integration_tests.support.account import Account, get
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import assert_same_records
from integration_tests.support.sandboxes import KEY, StartSandbox
from integration_tests.support.tap import SINGER, MakeTap

LINES, AVAILABILITY = "pay_report_lines", "status_page_component_availability"


def test_both_are_off_by_default(catalog: Catalog) -> None:
    assert not {LINES, AVAILABILITY} & set(catalog.by_default)
    assert {LINES, AVAILABILITY} <= catalog.airbyte.keys()


def test_emits_a_row_per_person_and_report(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3)
    reports = [{**report, "status": "complete"} for report in sandbox.records("pay_reports")]
    sandbox.put("pay_reports", [{**reports[0], "status": "failed"}, *reports[1:]])
    run = tap_of(sandbox).read(catalog.of(protocol, [LINES])).ok()
    assert_same_records(run.records[LINES], Account(sandbox).expected(LINES), ["pay_report_id", "position"], LINES)
    assert Counter(row["pay_report_id"] for row in run.records[LINES]) == {report["id"]: 20 for report in reports[1:]}
    values = run.records[LINES][0]["values"]
    assert {type(value) for column, value in values.items() if "(" in column} == {int}
    assert values["Total pay"].startswith("£")


@pytest.mark.parametrize(
    "fault", ["500:times=2", "truncate:times=1", "reset:at=body,times=1", "gzip:as=broken,times=1"]
)
def test_retries_a_download(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, fault: str
) -> None:
    kind, _, options = fault.partition(":")
    sandbox = new_sandbox(incidents=3, fault=[f"{kind}:path=/v2/pay_reports/*/download,{options}"])
    run = tap_of(sandbox).read(catalog.of(protocol, [LINES])).ok()
    assert_same_records(run.records[LINES], Account(sandbox).expected(LINES), ["pay_report_id", "position"], LINES)
    assert run.log_lines("retry")


def test_reports_other_columns_in_one_line(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """An HTML page with status 200 is no report."""
    sandbox = new_sandbox(incidents=3, fault=["content_type:path=/v2/pay_reports/*/download,body=html"])
    run = tap_of(sandbox).read(catalog.of(protocol, [LINES]), max_retries=0)
    assert run.code == 1
    assert LINES not in run.records
    assert run.log_lines("the answer is not CSV with a header")
    assert KEY not in run.log


def test_emits_a_row_per_page_component_and_month(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3)
    now = datetime.now(UTC)
    run = tap_of(sandbox).read(catalog.of(protocol, [AVAILABILITY])).ok()
    requests = sandbox.requests()["counts"][REQUEST]
    assert_same_records(run.records[AVAILABILITY], Account(sandbox).expected(AVAILABILITY), KEY_FIELDS, AVAILABILITY)
    rows = run.records[AVAILABILITY]
    components = {(row["status_page_id"], row["component_id"]) for row in rows}
    structures = {page["id"]: structure_of(sandbox, page["id"]) for page in sandbox.records("status_pages")}
    assert components == {(page, id_) for page, text in structures.items() for id_ in component_ids_in(text)}
    assert len({row["month"] for row in rows}) == 12 + (now.day > 1)
    assert any(row.get("availability_percent") is None for row in rows)
    assert len(rows) == len(components) * (12 + (now.day > 1)) == requests
    if protocol == SINGER:
        assert not run.of_type("ACTIVATE_VERSION"), "rows of earlier months stay"


KEY_FIELDS = ["status_page_id", "component_id", "month"]
REQUEST = "GET /v2/status_pages/{status_page_id}/components/{component_id}/availability"


def structure_of(sandbox: object, page: str) -> str:
    return repr(get(sandbox, f"/v2/status_page_structures/{page}"))  # type: ignore[arg-type]


def component_ids_in(text: str) -> set[str]:
    return set(re.findall(r"'component_id': '(\w+)'", text))
