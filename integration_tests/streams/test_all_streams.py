"""All streams at once: what they read, and how often they ask for it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import requests

from integration_tests.conftest import MakeTap
from integration_tests.support.account import Account, declarations
from integration_tests.support.tap import Catalog, Record
from integration_tests.sync.test_reading import assert_same
from sandbox import Sandbox

# What is no list of records: how to ask for it, and the stream that it hangs below
OBJECTS = {
    "incident_participants": ("/v2/incident_participants?incident_id={}", "incidents"),
    "postmortem_document_contents": ("/v1/postmortem_documents/{}/content", "postmortem_documents"),
    "status_page_structures": ("/v2/status_page_structures/{}", "status_pages"),
    "user_paging_providers": ("/v2/users/{}/paging_provider", "users"),
}
# It is of a window around the moment of the sync; test_schedule_window.py has it
OF_A_WINDOW = "schedule_entries"


def test_all_streams_read_what_the_account_holds(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    assert catalog.airbyte.keys() == catalog.singer.keys() == declarations().keys()
    shared_sandbox.reset()
    run = tap_of(shared_sandbox).read(catalog.of(protocol, catalog.airbyte)).ok()
    log = shared_sandbox.requests()["log"]
    assert set(run.records) == set(catalog.airbyte)
    account = Account(shared_sandbox)
    for name in declarations().keys() - {OF_A_WINDOW}:
        assert_same(run.records[name], held_of(name, shared_sandbox, account), catalog.keys[name], name)
    assert [entry for entry in log if entry["status"] != 200 or "unknown" in entry] == []
    # whatever hangs below what, and whatever is nested: nothing is asked for twice
    asked = Counter((entry["path"], entry["query"]) for entry in log)
    assert [request for request, times in asked.items() if times > 1] == []


def held_of(name: str, sandbox: Sandbox, account: Account) -> list[Record]:
    """The records of a stream as they have to come, from what the account holds."""
    if name == "ip_allowlists":
        return [ask(sandbox, "/v1/ip_allowlists")["ip_allowlist"]]
    if name in OBJECTS:
        path, parent = OBJECTS[name]
        key = declarations()[name].parent_key
        return [
            {**record, key: above["id"]}
            for above in account.stream(parent)
            for record in records_in(ask(sandbox, path.format(above["id"])))
        ]
    held = account.stream(name)
    if name == "incident_participant_workloads":
        of = held[0]["incident_id"]
        metadata = ask(sandbox, f"/v2/incident_participant_workloads?incident_id={of}")["metadata"]
        return [{**row, "user_id": row["user"]["id"], **metadata} for row in held]
    if name == "pay_config_weekly_rules":
        places = Counter[str]()
        for row in held:
            row["position"] = places[row["pay_config_id"]]
            places[row["pay_config_id"]] += 1
    return held


def records_in(body: dict[str, Any]) -> list[Record]:
    """The one record that a body is, or those of its two lists."""
    lists = body.get("incident_participants")
    if lists is None:
        return [body]
    return [
        {**row, "involvement": involvement, "user_id": row["user"]["id"]}
        for involvement in ("active", "passive")
        for row in lists[involvement]
    ]


def ask(sandbox: Sandbox, path: str) -> Any:
    answer = requests.get(sandbox.url + path, headers={"Authorization": f"Bearer {sandbox.key}"}, timeout=30)
    assert answer.status_code == 200
    return answer.json()
