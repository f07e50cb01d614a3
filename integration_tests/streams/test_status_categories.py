"""A status category that the connector does not know. The list of incidents has to ask for each category by name."""

from __future__ import annotations

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import MakeTap


def test_warns_of_an_unknown_status_category(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=10)
    status = {**sandbox.records("incident_statuses")[0], "id": "01ZZNINTH", "category": "monitoring"}
    sandbox.put("incident_statuses", [status])
    run = tap_of(sandbox).read(catalog.of(protocol, ["incident_statuses"])).ok()
    assert len(run.records["incident_statuses"]) == len(sandbox.records("incident_statuses"))
    (line,) = run.log_lines("incident_statuses", "monitoring")
    assert "missing" in line
    known = tap_of(new_sandbox(incidents=10)).read(catalog.of(protocol, ["incident_statuses"])).ok()
    assert not known.log_lines("unknown category")
