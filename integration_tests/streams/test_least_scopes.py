"""The scopes in SECURITY.md are sufficient and necessary for the default streams."""

from __future__ import annotations

import re

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import EVERY_SCOPE, StartSandbox
from integration_tests.support.tap import ROOT, MakeTap


def least_scopes() -> set[str]:
    """Return the scopes in the table of SECURITY.md."""
    text = (ROOT / "SECURITY.md").read_text()
    table = text.partition("<!-- scopes:begin -->")[2].partition("<!-- scopes:end -->")[0]
    return set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE))


def test_least_scopes_suffice_for_every_default_stream(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """The streams are selected by a catalog, so that a missing scope fails the run."""
    forbidden = EVERY_SCOPE - least_scopes()
    assert forbidden
    sandbox = new_sandbox(forbid=sorted(forbidden))
    run = tap_of(sandbox).read(catalog.of(protocol, catalog.by_default)).ok()
    assert any(incident["attachments"] for incident in run.records["incidents"])


def test_check_reports_each_missing_scope(new_sandbox: StartSandbox, tap_of: MakeTap) -> None:
    """Without incidents.view, check fails. The scope of a nested column is reported by the sync instead."""
    needed = least_scopes() - {"incidents.view"}
    log = tap_of(new_sandbox(forbid=sorted(needed))).command("check").log
    assert {scope for scope in needed if scope not in log} == {"attachments.view"}
    log = tap_of(new_sandbox(forbid=["attachments.view"])).read().ok().log
    assert "attachments.view" in log
    refused = tap_of(new_sandbox(forbid=["incidents.view"])).command("check")
    assert b"incidents.view" in refused.stdout + refused.stderr.encode()
