"""A killed full refresh continues from its page, in both protocols."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from integration_tests.support.account import NESTED, Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox, queries
from integration_tests.support.tap import AIRBYTE, PROTOCOLS, SINGER, MakeTap, Run, Tap
from integration_tests.support.versions import activations, attached_incident, versions

COMPLETE = "__ab_full_refresh_sync_complete"
CHILD = "incident_attachments"
# Pages that were requested, but are not yet covered by a state: two that are emitted, one that was read, one that is
# requested, and those whose records and state wait in the queue of four events.
PAGES_IN_FLIGHT = 6
# The state of one stream that is interrupted, as JSON.
MAX_STATE_BYTES = 500


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_list_continues_from_its_page(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, seed: int
) -> None:
    sandbox = new_sandbox(alerts=1100, plain=True)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["alerts"], full=["alerts"])
    runs = read_with_kills(tap, selected, seed, lines=400)
    kills = len(runs) - 1
    assert kills >= 2
    assert len(queries(sandbox, "/v2/alerts")) <= 22 + kills * PAGES_IN_FLIGHT
    destination = Destination(catalog.keys)
    for run in runs:
        destination.load(run)
    assert not list(differences(destination, Account(sandbox).of(["alerts"])))
    assert destination.duplicates() <= kills * PAGES_IN_FLIGHT * 50
    for run in runs[:-1]:
        assert len(json.dumps(run.states["alerts"])) < MAX_STATE_BYTES
    last = runs[-1].states["alerts"]
    assert "resume" not in last
    if protocol == AIRBYTE:
        assert last[COMPLETE] is True
    else:
        assert {version for run in runs for version in versions(run, "alerts")} == {activations(runs[-1])["alerts"]}


def test_children_continue_from_the_page_of_their_parent(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=1300, attachments=1)
    tap, selected = tap_of(sandbox), catalog.of(protocol, [CHILD], full=[CHILD])
    process = tap.start(*tap.read_arguments(selected))
    # The first state covers the first page of incidents.
    output = tap.read_lines(process, until=lambda output: b'"resume"' in output)
    process.kill()
    killed = tap.wait(process, output)
    state = json.dumps(killed.states[CHILD])
    incidents = [record["id"] for record in sandbox.records("incidents")]
    after = json.loads(state)["modes"]["standard,retrospective"]["resume"]["after"]
    # The cursor of the next page is the only id in it.
    assert [incident for incident in incidents if incident in state] == [after]
    assert len(state) < MAX_STATE_BYTES
    sandbox.reset()
    resumed = tap.read(selected, killed.state).ok()
    assert queries(sandbox, "/v2/incidents")[0]["after"] == [after]
    requested = [query["incident_id"][0] for query in queries(sandbox, "/v1/incident_attachments")]
    assert len(requested) == len(set(requested))
    # Newest first, so the first page has the highest ids.
    assert max(requested) < after
    destination = Destination(catalog.keys)
    destination.load(killed)
    destination.load(resumed)
    assert not list(differences(destination, Account(sandbox).of([CHILD])))


@pytest.mark.parametrize("protocol", [SINGER])
def test_the_catalog_of_the_go_tap_resumes_incidents(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, reference: Path
) -> None:
    """Its streams have the forced replication method FULL_TABLE."""
    document = json.loads((reference / "test_catalog.json").read_text())
    document["streams"] = [entry for entry in document["streams"] if entry["tap_stream_id"] == "incidents"]
    (entry,) = document["streams"]
    assert entry["metadata"][0]["metadata"]["forced-replication-method"] == "FULL_TABLE"
    sandbox = new_sandbox(incidents=1500, updates=1500, attachments=1)
    tap = tap_of(sandbox)
    process = tap.start(*tap.read_arguments(document))
    output = tap.read_lines(process, until=lambda output: output.count(b'"STATE"') == 2)
    process.kill()
    killed = tap.wait(process, output)
    assert len(json.dumps(killed.states["incidents"])) < MAX_STATE_BYTES
    first = len(queries(sandbox, "/v2/incidents"))
    sandbox.reset()
    resumed = tap.read(document, killed.state).ok()
    assert "after" in queries(sandbox, "/v2/incidents")[0]
    assert first + len(queries(sandbox, "/v2/incidents")) <= 6 + PAGES_IN_FLIGHT
    expected = {record["id"] for record in Account(sandbox).of(["incidents"])["incidents"]}
    emitted = [record["id"] for run in (killed, resumed) for record in run.records["incidents"]]
    assert set(emitted) == expected
    assert len(resumed.records["incidents"]) < len(expected)
    assert activations(resumed)["incidents"] == killed.states["incidents"]["full_read"]["version"]


@pytest.mark.parametrize("full", [True, False])
def test_parents_that_failed_are_read_again(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, full: bool
) -> None:
    """The position has passed the parent when the run ends."""
    sandbox = new_sandbox(incidents=600)
    parent = attached_incident(sandbox)
    tap, selected = tap_of(sandbox, max_retries=0), catalog.of(protocol, [CHILD], full=[CHILD] if full else [])
    sandbox.config(fault=[f"500:query=incident_id={parent}"])
    failed = tap.read(selected)
    assert failed.code == 1
    assert parent not in {record["incident_id"] for record in failed.records[CHILD]}
    sandbox.config(fault=[])
    resumed = tap.read(selected, failed.state).ok()
    assert parent in {record["incident_id"] for record in resumed.records[CHILD]}
    if protocol == SINGER:
        assert not activations(failed)
        # The version of an incremental stream has a gap. The next full read activates its own.
        assert activations(resumed).keys() == ({CHILD} if full else set())
        if full:
            assert versions(resumed, CHILD) == {activations(resumed)[CHILD]}


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_the_platforms_fields_change_nothing(new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    """Airbyte numbers its syncs, and the generations of a table that a full refresh overwrites."""
    sandbox = new_sandbox(alerts=300)
    tap, selected = tap_of(sandbox), catalog.of(protocol=AIRBYTE, streams=["alerts", "users"], full=["alerts"])
    plain = tap.read(selected).ok()
    for configured in selected["streams"]:
        configured.update(generation_id=7, minimum_generation_id=7, sync_id=42, destination_sync_mode="overwrite")
    numbered = tap.read(selected).ok()
    assert numbered.records == plain.records
    assert numbered.statuses("alerts") == plain.statuses("alerts")
    assert numbered.states.keys() == plain.states.keys()


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_a_finished_full_refresh_is_read_again(new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    sandbox = new_sandbox()
    tap, selected = tap_of(sandbox), catalog.of(AIRBYTE, ["alerts", "severities"], full=["alerts"])
    first = tap.read(selected).ok()
    assert all(state[COMPLETE] is True for state in first.states.values())
    second = tap.read(selected, first.state).ok()
    assert second.records == first.records


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_nested_column_is_complete_after_a_resume(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog
) -> None:
    sandbox = new_sandbox(incidents=700, updates=700)
    tap, selected = tap_of(sandbox), catalog.of(tap_of(sandbox).protocol, ["incidents"], full=["incidents"])
    process = tap.start(*tap.read_arguments(selected))
    output = tap.read_lines(process, until=lambda output: b'"resume"' in output)
    process.kill()
    killed = tap.wait(process, output)
    resumed = tap.read(selected, killed.state).ok()
    destination = Destination(catalog.keys)
    destination.load(killed)
    destination.load(resumed)
    assert any(record[column] for record in resumed.records["incidents"] for column in NESTED)
    assert not list(differences(destination, Account(sandbox).of(["incidents"])))


def read_with_kills(tap: Tap, catalog: Any, seed: int, lines: int) -> list[Run]:
    """Read until a run ends by itself; kill each run before it after at most this number of lines."""
    chance = random.Random(seed)
    runs: list[Run] = []
    state = None
    while len(runs) < 30:
        run = tap.read_until(chance.randint(lines // 2, lines), *tap.read_arguments(catalog, state), drain=True)
        runs.append(run)
        if run.code != -9:
            run.ok()
            return runs
        state = run.state or state
    raise AssertionError("the list never ends")
