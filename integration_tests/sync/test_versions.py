"""Singer versions: each full read has one, and ACTIVATE_VERSION follows a full read without a gap."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integration_tests.support.account import DEFAULT_MODES, WINDOW_STREAM
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox, change
from integration_tests.support.tap import SINGER, MakeTap, Run
from integration_tests.support.versions import activations, attached_incident, cut, full_read_is_due, versions
from sandbox import Sandbox

pytestmark = pytest.mark.parametrize("protocol", [SINGER])

CHILD = "incident_attachments"


def test_a_full_read_ends_with_its_version(shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    # A table with a column named `version` can't take the message (deploying.md).
    names = [
        name
        for name in catalog.by_default
        if name != WINDOW_STREAM and "version" not in catalog.singer[name]["schema"]["properties"]
    ]
    run = tap_of(shared_sandbox).read(catalog.of(SINGER, names)).ok()
    assert activations(run).keys() == set(names)
    for name in names:
        last = max(
            number
            for number, message in enumerate(run.messages)
            if message["type"] == "RECORD" and message["stream"] == name
        )
        (number,) = [
            number
            for number, message in enumerate(run.messages)
            if message["type"] == "ACTIVATE_VERSION" and message["stream"] == name
        ]
        assert last < number
        assert versions(run, name) == {run.messages[number]["version"]}
        # A run that is killed before this state sends the version again.
        assert any(message["type"] == "STATE" for message in run.messages[number:])


@pytest.mark.parametrize(("name", "full"), [("severities", False), ("alerts", True)])
def test_each_full_read_has_a_higher_version(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, name: str, full: bool
) -> None:
    tap, selected = tap_of(shared_sandbox), catalog.of(SINGER, [name], full=[name] if full else [])
    first = tap.read(selected).ok()
    second = tap.read(selected, first.state).ok()
    assert activations(second)[name] > activations(first)[name]
    assert versions(second, name) == {activations(second)[name]}


def test_an_incremental_sync_keeps_the_version_and_activates_nothing(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog
) -> None:
    sandbox = new_sandbox()
    tap, selected = tap_of(sandbox), catalog.of(SINGER, ["alerts"])
    first = tap.read(selected).ok()
    change(sandbox, "alerts", sandbox.records("alerts")[:3])
    second = tap.read(selected, first.state).ok()
    assert len(second.records["alerts"]) == 3
    assert versions(second, "alerts") == {activations(first)["alerts"]}
    assert not activations(second)


def test_an_incremental_stream_is_read_in_full_again_when_it_is_due(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog
) -> None:
    sandbox = new_sandbox()
    tap, selected = tap_of(sandbox), catalog.of(SINGER, ["alerts"])
    first = tap.read(selected).ok()
    deleted = [alert["id"] for alert in sandbox.records("alerts")[:5]]
    sandbox.delete("alerts", deleted)
    state = full_read_is_due(first.state, "alerts")
    assert not activations(tap.read(selected, state, full_read_days=0).ok())
    second = tap.read(selected, state).ok()
    assert activations(second)["alerts"] > state["bookmarks"]["alerts"]["full_read"]["version"]
    assert {record["id"] for record in second.records["alerts"]} == {alert["id"] for alert in sandbox.records("alerts")}


@pytest.mark.parametrize("full", [True, False])
def test_a_sync_that_is_cut_anywhere_keeps_its_version(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, full: bool
) -> None:
    """After the last record, after ACTIVATE_VERSION, before the last state, and between pages."""
    names = ["alerts", "follow_ups", "users"]
    sandbox = new_sandbox(alerts=220, follow_ups=300)
    tap, selected = tap_of(sandbox), catalog.of(SINGER, names, full=names if full else [])
    whole = tap.read(selected).ok()
    account = {name: whole.records[name] for name in names}
    for end in cutting_points(whole):
        killed = cut(whole, end)
        states = killed.states
        resumed = tap.read(selected, killed.state).ok()
        destination = Destination(catalog.keys)
        destination.load(killed)
        destination.load(resumed)
        assert not list(differences(destination, account))
        for name in names:
            full_read = states.get(name, {}).get("full_read")
            if full_read and "done" in full_read:
                # Each record of the version was emitted by one of the two runs.
                assert activations(resumed)[name] == full_read["version"] == whole_version(whole, name)
                assert versions(resumed, name) <= {full_read["version"]}
            elif full_read is None:
                assert activations(resumed)[name] > whole_version(whole, name)
                assert {record["id"] for record in resumed.records[name]} == {record["id"] for record in account[name]}


def test_a_stream_that_fails_activates_nothing(new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    names = ["alerts", "users", "custom_field_options"]
    sandbox = new_sandbox(alerts=300)
    tap, selected = tap_of(sandbox, max_retries=0), catalog.of(SINGER, names, full=["alerts"])
    first = tap.read(selected).ok()
    field = sandbox.snapshot("custom_field_options")["parents"][0]["custom_field_id"]
    sandbox.config(fault=["500:path=/v2/alerts,nth=4", f"500:query={field}"])
    failed = tap.read(selected, first.state)
    assert failed.code == 1
    assert activations(failed).keys() == {"users"}
    sandbox.config(fault=[])
    assert activations(tap.read(selected, failed.state).ok()).keys() == set(names)


@pytest.mark.parametrize("status", [403, 404])
def test_a_parent_that_was_left_out_before_the_kill_blocks_the_version(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, status: int
) -> None:
    sandbox = new_sandbox(incidents=600)
    parent = attached_incident(sandbox)
    tap, selected = tap_of(sandbox), catalog.of(SINGER, [CHILD], full=[CHILD])
    sandbox.config(fault=[f"{status}:query=incident_id={parent}"])
    whole = tap.read(selected).ok()
    assert not activations(whole)
    sandbox.config(fault=[])
    last_page = max(number for number, message in enumerate(whole.messages) if b'"resume"' in json_bytes(message))
    resumed = tap.read(selected, cut(whole, last_page + 1).state).ok()
    assert 0 < len(resumed.records[CHILD]) < len(whole.records[CHILD])
    assert not activations(resumed)
    assert activations(tap.read(selected, resumed.state).ok())


def test_a_start_date_keeps_older_rows_at_first(new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    """They can be in the destination from another connector."""
    sandbox = new_sandbox()
    tap, selected = tap_of(sandbox, start_date="2020-01-01"), catalog.of(SINGER, ["alerts"])
    first = tap.read(selected).ok()
    assert versions(first, "alerts")
    assert not activations(first)
    assert activations(tap.read(selected, full_read_is_due(first.state, "alerts")).ok())


def test_a_time_window_is_never_activated(shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    tap, selected = tap_of(shared_sandbox), catalog.of(SINGER, [WINDOW_STREAM])
    first = tap.read(selected).ok()
    assert first.records[WINDOW_STREAM]
    assert not activations(tap.read(selected, first.state).ok())


def test_removed_incident_modes_keep_their_rows(shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    tap, selected = tap_of(shared_sandbox), catalog.of(SINGER, ["follow_ups"])
    first = tap.read(selected, incident_modes=[*DEFAULT_MODES, "test"]).ok()
    assert activations(first)
    assert not activations(tap.read(selected, full_read_is_due(first.state, "follow_ups")).ok())


def test_the_setting_turns_versions_off(shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    tap, selected = tap_of(shared_sandbox, activate_versions=False), catalog.of(SINGER, ["alerts", "users"])
    run = tap.read(selected).ok()
    assert run.records["users"]
    assert not activations(run)
    assert all("version" not in message for message in run.messages)
    # Turned on later, the next full read has a version that is higher than that of any row.
    again = tap.read(selected, run.state, activate_versions=True).ok()
    assert activations(again).keys() == {"users"}


def cutting_points(run: Run) -> list[int]:
    """Numbers of messages to keep: at the first and the last page, around ACTIVATE_VERSION, before the last state."""
    kinds = [message["type"] for message in run.messages]
    states = [number for number, kind in enumerate(kinds) if kind == "STATE"]
    activated = [number for number, kind in enumerate(kinds) if kind == "ACTIVATE_VERSION"]
    last_record = max(number for number, kind in enumerate(kinds) if kind == "RECORD")
    return sorted({states[0] + 1, activated[0], activated[-1] + 1, last_record + 1, states[-1]})


def whole_version(run: Run, name: str) -> int:
    (version,) = versions(run, name)
    return version


def json_bytes(message: Any) -> bytes:
    return json.dumps(message).encode()
