"""Child streams: for which parents they are read, how often, and what happens if a parent was deleted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import pytest

from integration_tests.support.account import WINDOW_STREAM, Account, ChildStream, declarations, stream_name
from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import (
    KEY,
    SMALL,
    StartSandbox,
    change,
    change_incidents,
    first_pages,
    open_incidents,
    quiet_sandbox,
)
from integration_tests.support.tap import AIRBYTE, SINGER, MakeTap, Run, Tap
from sandbox import Sandbox

# Except the one with a request per month; test_optional_streams.py tests it
CHILDREN = {
    name: stream
    for name, stream in declarations().items()
    if issubclass(stream, ChildStream) and not stream.month_parameters
}
BY_PARENT = [name for name, stream in CHILDREN.items() if stream.uses_root_cursor]


@pytest.fixture(scope="module")
def sandbox_with_deleted_parents() -> Iterator[Sandbox]:
    """A sandbox that answers 404 for the first parent of each child stream."""
    paths = [re.sub(r"{\w+}", "*", stream.endpoint) for stream in CHILDREN.values()]
    with Sandbox(key=KEY, **SMALL, fault=[f"404:path={path},times=1" for path in paths]) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def read_with_deleted_parents(
    sandbox_with_deleted_parents: Sandbox, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Run, dict[str, set[str]]]]:
    """Read all child streams; returns the run, and the deleted parents by stream."""

    @cache
    def read(protocol: str) -> tuple[Run, dict[str, set[str]]]:
        sandbox_with_deleted_parents.reset()
        config = {"api_key": KEY, "endpoint": sandbox_with_deleted_parents.url}
        tap = Tap(protocol, config, tmp_path_factory.mktemp("deleted"))
        run = tap.read(catalog.of(protocol, CHILDREN)).ok()
        return run, requested_parents(sandbox_with_deleted_parents, status=404)

    return read


@pytest.mark.parametrize("name", CHILDREN)
def test_skips_and_counts_a_deleted_parent(
    read_with_deleted_parents: Callable[[str], tuple[Run, dict[str, set[str]]]],
    sandbox_with_deleted_parents: Sandbox,
    name: str,
    protocol: str,
) -> None:
    run, deleted = read_with_deleted_parents(protocol)
    assert len(deleted[name]) == 1
    child, account = CHILDREN[name], Account(sandbox_with_deleted_parents)
    # A grandchild also misses the records of the grandparent that was skipped.
    count = 2 if issubclass(child.parent, ChildStream) else 1
    assert re.search(rf"\b{name}: {count} parents\b", run.log, re.MULTILINE)
    if name == WINDOW_STREAM:
        parents = {schedule["id"] for schedule in account.stream("schedules")}
    else:
        parents = {owner(record, child) for record in account.expected(name)}
    if issubclass(child.parent, ChildStream):
        parents &= {record["id"] for record in run.records[stream_name(child.parent)]}
    assert {owner(record, child) for record in run.records[name]} == parents - deleted[name]


@pytest.mark.parametrize(
    ("protocol", "parents"), [(AIRBYTE, []), (SINGER, ["incidents", "call_sessions", "status_page_incidents"])]
)
def test_reads_each_parent_once_whether_selected_or_not(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, parents: list[str]
) -> None:
    sandbox = new_sandbox(incidents=300)
    selected = ["call_transcript_entries", "incident_relationships", "status_page_response_incidents", *parents]
    nested = {"incidents": ["attachments", "updates", "actions"]}
    run = tap_of(sandbox).read(catalog.of(protocol, selected, without=nested)).ok()
    assert set(run.records) == set(selected)
    counts = sandbox.requests()["counts"]
    assert counts["GET /v2/incidents"] == 2, "a page has 250 incidents"
    first = first_pages(sandbox)
    assert first["/v2/call_sessions"] == first["/v1/incident_relationships"] > 250
    assert first["/v2/status_pages"] == 1
    assert first["/v2/status_page_incidents"] == 2, "one list per status page"


def test_reads_children_again_for_changed_and_open_parents(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """A full refresh reads the children of all parents. So does a stream whose parents say nothing about a change."""
    sandbox = quiet_sandbox(new_sandbox, incidents=25)
    tap, selected = tap_of(sandbox), catalog.of(protocol, BY_PARENT)
    state = tap.read(selected).ok().state
    all_parents = requested_parents(sandbox)
    account = Account(sandbox)
    incidents = change_incidents(sandbox, 3) | open_incidents(account.stream("incidents"))
    changed = {
        "call_transcript_entries": {
            session["id"] for session in account.stream("call_sessions") if session["incident_id"] in incidents
        },
        "postmortem_document_contents": change_first(
            sandbox, "postmortem_documents", all_parents["postmortem_document_contents"]
        ),
        "alert_notes": alerts_with_notes(sandbox),
    }
    sandbox.reset()
    tap.read(selected, state).ok()
    second = requested_parents(sandbox)
    for name in BY_PARENT:
        assert second[name] == changed.get(name, incidents), name
        assert second[name] < all_parents[name]
    sandbox.reset()
    tap.read(catalog.of(protocol, BY_PARENT, full=BY_PARENT), state).ok()
    assert requested_parents(sandbox) == all_parents
    assert all_parents["incident_attachments"] == {incident["id"] for incident in account.stream("incidents")}


def requested_parents(sandbox: Sandbox, status: int = 200) -> dict[str, set[str]]:
    """Return the parents in the requests of each child stream, after checking that none was requested twice."""
    parents: dict[str, set[str]] = defaultdict(set)
    for entry in sandbox.requests()["log"]:
        if entry["status"] != status or "after=" in entry["query"] or "cursor" in entry["query"]:
            continue
        for name, stream in CHILDREN.items():
            if (parent := parent_in(entry, stream)) is not None:
                assert parent not in parents[name]
                parents[name].add(parent)
    return parents


def owner(record: dict[str, Any], stream: type[ChildStream]) -> str:
    """Return the id of the parent whose list has a record, or of the group."""
    id_ = record.get(stream.parent_key) or record[str(stream.group_key)]
    return str(id_)


def parent_in(entry: dict[str, Any], stream: type[ChildStream]) -> str | None:
    """Return the parent's id in a request; None if the request is not for this child stream."""
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", stream.endpoint)
    match = re.fullmatch(pattern, entry["path"])
    if match is None:
        return None
    query = parse_qs(entry["query"])
    key = stream.group_key if stream.group_key in query else stream.parent_key
    return match.groupdict().get(stream.parent_key) or query[key][0]


def alerts_with_notes(sandbox: Sandbox) -> set[str]:
    """Return the ids of the alerts that have notes, and of their groups."""
    ids = {note["alert_id"] for note in sandbox.records("alert_notes")}
    groups = (alert.get("alert_group_ids", ()) for alert in sandbox.records("alerts") if alert["id"] in ids)
    return ids.union(*groups)


def change_first(sandbox: Sandbox, name: str, ids: set[str]) -> set[str]:
    """Set `updated_at` of the first record with one of these ids to now; return its id in a set."""
    return change(sandbox, name, [next(record for record in sandbox.records(name) if record["id"] in ids)])
