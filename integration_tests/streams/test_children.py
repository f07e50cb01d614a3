"""Streams that are read once a record of their parent: which parents, how often, and what if one is gone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import pytest

from integration_tests.conftest import KEY, SMALL, MakeTap
from integration_tests.streams.test_all_streams import OF_A_WINDOW, held_of
from integration_tests.support.account import Account, declarations
from integration_tests.support.tap import AIRBYTE, SINGER, Catalog, Run, Tap
from integration_tests.sync.test_idle import changed_incidents, quiet
from sandbox import Sandbox
from source_incident.streams.base import ChildStream
from tools.schemas import stream_name

StartSandbox = Callable[..., Sandbox]
CHILDREN = {name: stream for name, stream in declarations().items() if issubclass(stream, ChildStream)}
BY_PARENT = [name for name, stream in CHILDREN.items() if stream.by_parent]


@pytest.fixture(scope="module")
def gone_sandbox() -> Iterator[Sandbox]:
    """The first parent that each child stream asks with is gone by then."""
    paths = [re.sub(r"{\w+}", "*", stream.endpoint) for stream in CHILDREN.values()]
    with Sandbox(key=KEY, **SMALL, fault=[f"404:path={path},times=1" for path in paths]) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def gone_read(
    gone_sandbox: Sandbox, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Run, dict[str, set[str]]]]:
    """A read of all children, and by stream the parents that were gone."""

    @cache
    def read(protocol: str) -> tuple[Run, dict[str, set[str]]]:
        gone_sandbox.reset()
        tap = Tap(protocol, {"api_key": KEY, "endpoint": gone_sandbox.url}, tmp_path_factory.mktemp("gone"))
        run = tap.read(catalog.of(protocol, CHILDREN)).ok()
        return run, parents_asked(gone_sandbox, status=404)

    return read


@pytest.mark.parametrize("name", CHILDREN)
def test_a_parent_that_is_gone_is_skipped_and_counted(
    gone_read: Callable[[str], tuple[Run, dict[str, set[str]]]], gone_sandbox: Sandbox, name: str, protocol: str
) -> None:
    run, gone = gone_read(protocol)
    assert len(gone[name]) == 1
    assert re.search(rf"\b{name}: skipped parents that were gone .*: 1$", run.log, re.MULTILINE)
    child, account = CHILDREN[name], Account(gone_sandbox)
    if name == OF_A_WINDOW:
        wanted = {schedule["id"] for schedule in account.stream("schedules")}
    else:
        wanted = {record[child.parent_key] for record in held_of(name, gone_sandbox, account)}
    if issubclass(child.parent, ChildStream):
        wanted &= {record["id"] for record in run.records[stream_name(child.parent)]}
    assert {record[child.parent_key] for record in run.records[name]} == wanted - gone[name]


@pytest.mark.parametrize(
    ("protocol", "parents"), [(AIRBYTE, []), (SINGER, ["incidents", "call_sessions", "status_page_incidents"])]
)
def test_parents_are_read_once_whether_they_are_selected_or_not(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, parents: list[str]
) -> None:
    sandbox = new_sandbox(incidents=300)
    chosen = ["call_transcript_entries", "incident_relationships", "status_page_response_incidents", *parents]
    nested = {"incidents": ["attachments", "updates", "actions"]}
    run = tap_of(sandbox).read(catalog.of(protocol, chosen, without=nested)).ok()
    assert set(run.records) == set(chosen)
    counts = sandbox.requests()["counts"]
    assert counts["GET /v2/incidents"] == 2, "a page holds 250"
    assert counts["GET /v2/call_sessions"] == counts["GET /v1/incident_relationships"] > 250
    assert counts["GET /v2/status_pages"] == 1
    assert counts["GET /v2/status_page_incidents"] == 2, "one a status page"


def test_children_are_read_again_for_parents_that_changed_or_are_open(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """And for all of them in a full refresh."""
    sandbox = quiet(new_sandbox, incidents=25)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, BY_PARENT)
    state = tap.read(chosen).ok().state
    everyone = parents_asked(sandbox)
    held = Account(sandbox)
    incidents = changed_incidents(sandbox, 3) | {
        incident["id"]
        for incident in held.stream("incidents")
        if incident["incident_status"]["category"] in ("triage", "live", "paused", "learning")
    }
    changed = {
        "call_transcript_entries": {
            row["id"] for row in held.stream("call_sessions") if row["incident_id"] in incidents
        },
        "postmortem_document_contents": touch(
            sandbox, "postmortem_documents", everyone["postmortem_document_contents"]
        ),
        "alert_notes": touch(sandbox, "alerts", everyone["alert_notes"]),
    }
    sandbox.reset()
    tap.read(chosen, state).ok()
    again = parents_asked(sandbox)
    for name in BY_PARENT:
        assert again[name] == changed.get(name, incidents), name
        assert again[name] < everyone[name]
    sandbox.reset()
    tap.read(catalog.of(protocol, BY_PARENT, full=BY_PARENT), state).ok()
    assert parents_asked(sandbox) == everyone
    assert everyone["incident_attachments"] == {incident["id"] for incident in held.stream("incidents")}


def parents_asked(sandbox: Sandbox, status: int = 200) -> dict[str, set[str]]:
    """By child stream, the parents that it was asked for; for each, the first page was asked for once."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in sandbox.requests()["log"]:
        if entry["status"] != status or "after=" in entry["query"] or "cursor" in entry["query"]:
            continue
        for name, stream in CHILDREN.items():
            if (parent := parent_in(entry, stream)) is not None:
                assert parent not in found[name]
                found[name].add(parent)
    return found


def parent_in(entry: dict[str, Any], stream: type[ChildStream]) -> str | None:
    """The parent's id in a request of a child stream; None: it is another list's."""
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", stream.endpoint)
    found = re.fullmatch(pattern, entry["path"])
    if found is None:
        return None
    return found.groupdict().get(stream.parent_key) or parse_qs(entry["query"])[stream.parent_key][0]


def touch(sandbox: Sandbox, name: str, of: set[str] | None = None) -> set[str]:
    """Stamps one record as changed just now, or one of those with these ids; its id, in a set."""
    (record, *_) = [record for record in sandbox.records(name) if of is None or record["id"] in of]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sandbox.put(name, [{**record, "updated_at": now}])
    return {record["id"]}
