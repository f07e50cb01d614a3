"""The scopes that SECURITY.md names are enough for the default streams, and none of them is too many."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from integration_tests.conftest import MakeTap
from integration_tests.support.tap import ROOT, Catalog
from sandbox import Sandbox

CONTRACT = json.loads((ROOT / "sandbox" / "contract.json").read_text())
EVERY_SCOPE = {scope for endpoint in CONTRACT["endpoints"].values() for scope in endpoint["scopes"]}


def least_scopes() -> set[str]:
    text = (ROOT / "SECURITY.md").read_text()
    table = text.partition("<!-- scopes:begin -->")[2].partition("<!-- scopes:end -->")[0]
    return set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE))


def test_a_key_with_the_least_scopes_reads_every_default_stream(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """Chosen by a catalog: a stream that the key may not read would end the run with an error."""
    others = EVERY_SCOPE - least_scopes()
    assert others
    sandbox = new_sandbox(forbid=sorted(others))
    run = tap_of(sandbox).read(catalog.of(protocol, catalog.by_default)).ok()
    assert any(incident["attachments"] for incident in run.records["incidents"])


def test_check_names_each_of_them_to_a_key_that_lacks_it(new_sandbox: Callable[..., Sandbox], tap_of: MakeTap) -> None:
    """Without incidents.view it fails; a nested column's scope is told by the sync."""
    needed = least_scopes() - {"incidents.view"}
    said = tap_of(new_sandbox(forbid=sorted(needed))).command("check").log
    assert {scope for scope in needed if scope not in said} == {"attachments.view"}
    said = tap_of(new_sandbox(forbid=["attachments.view"])).read().ok().log
    assert "attachments.view" in said
    refused = tap_of(new_sandbox(forbid=["incidents.view"])).command("check")
    assert b"incidents.view" in refused.stdout + refused.stderr.encode()
