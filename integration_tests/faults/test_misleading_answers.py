"""Answers that look complete and are not: a gateway's 403 and 404, bodies without records, lists that end early."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integration_tests.faults.report import Report
from integration_tests.faults.runs import assert_clean_output, failures_of, normalize, retries_of
from integration_tests.support.account import Account, declarations
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox, change_incidents, quiet_sandbox
from integration_tests.support.tap import AIRBYTE, SINGER, MakeTap, Run
from sandbox import Sandbox

SMALL: dict[str, Any] = {"incidents": 25, "updates": 600, "actions": 40, "alerts": 100, "users": 10}
BODY_STREAMS = ("postmortem_document_contents", "status_page_structures")


def differences_after(sandbox: Sandbox, catalog: Catalog, names: tuple[str, ...], *runs: Run) -> list[str]:
    """Return the differences between the account and a destination that loaded some runs."""
    destination = Destination(catalog.keys)
    for run in runs:
        destination.load(run)
    account = Account(sandbox)
    return list(differences(destination, {name: account.expected(name) for name in names}))


def succeeded(run: Run, stream: str) -> bool:
    """Whether a run reports that it read a stream completely. In Singer mode only the exit code tells."""
    return run.statuses(stream)[-1:] == ["COMPLETE"] if run.protocol == AIRBYTE else run.code == 0


# A gateway answers instead of the API.


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ("404", "/v2/call_sessions"),
        ("404", "/v1/incident_attachments"),
        ("404", "/v2/incident_updates"),
        ("403", "/v1/incident_attachments"),
        ("403", "/v2/incident_updates"),
    ],
)
def test_retries_a_gateway_error_below_incidents(
    new_sandbox: StartSandbox,
    tap_of: MakeTap,
    catalog: Catalog,
    protocol: str,
    fault: str,
    path: str,
    reliability: Report,
) -> None:
    """One request for the children or the nested columns of incidents gets a status with an HTML body, so it does not
    come from the API. It says nothing about the record or the key, and the connector retries it."""
    sandbox = new_sandbox(**SMALL, fault=[f"{fault}:body=html,path={path},times=1"])
    names = ("incidents", "call_sessions")
    run = tap_of(sandbox).read(catalog.of(protocol, names)).ok()
    assert_clean_output(run)
    assert len([retry for retry in retries_of(run) if retry["path"].startswith(path)]) == 1
    assert "Grant" not in run.log
    assert not any(state.get("forbidden_columns") for state in run.states.values())
    assert differences_after(sandbox, catalog, names, run) == []
    reliability(f"{fault} with an HTML body on {path}, {protocol}", "retried; every record is emitted; exit code 0")


def test_ends_a_child_stream_whose_gateway_always_answers_404(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Report
) -> None:
    """Every request of a child stream gets a 404 with an HTML body."""
    path = declarations()["custom_field_options"].endpoint
    sandbox = new_sandbox(**SMALL, fault=[f"404:body=html,path={path}"])
    names = ("custom_field_options", "severities")
    run = tap_of(sandbox, max_retries=0).read(catalog.of(protocol, names))
    assert_clean_output(run)
    assert run.code == 1
    assert not succeeded(run, "custom_field_options")
    assert run.counts.keys() == {"severities"}
    assert "404 without the API's error body" in run.log
    sandbox.config(fault=[])
    next_run = tap_of(sandbox).read(catalog.of(protocol, names), run.state).ok()
    assert differences_after(sandbox, catalog, names, run, next_run) == []
    reliability(f"404 with an HTML body, {protocol}", "the stream fails; exit code 1; the next run emits its records")


# The API itself answers 404 for every parent.


def test_a_child_stream_without_a_single_parent_is_never_an_empty_success(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Report
) -> None:
    """The API answers its own 404 to every request of a child stream."""
    path = declarations()["custom_field_options"].endpoint
    sandbox = new_sandbox(**SMALL)
    names = ("custom_field_options", "severities")
    first = tap_of(sandbox).read(catalog.of(protocol, names)).ok()
    assert first.records["custom_field_options"]
    sandbox.config(fault=[f"404:path={path}"])
    selected = tap_of(sandbox).read(catalog.of(protocol, names), first.state)
    assert selected.code == 1
    assert not succeeded(selected, "custom_field_options")
    assert not active_streams(selected) & {"custom_field_options"}
    assert "404" in selected.log
    reliability(f"404 for every parent of a selected stream, {protocol}", "the stream fails; exit code 1")
    by_default = tap_of(sandbox).read().ok()
    assert "custom_field_options is left out" in by_default.log
    assert not active_streams(by_default) & {"custom_field_options"}
    assert protocol != AIRBYTE or by_default.statuses("custom_field_options") == []
    reliability(
        f"404 for every parent of a stream that is read by default, {protocol}",
        "the stream is left out with a warning; exit code 0",
    )


def active_streams(run: Run) -> set[str]:
    """Return the streams whose older rows a run replaces."""
    return {message["stream"] for message in run.of_type("ACTIVATE_VERSION")}


# Bodies without the record.


@pytest.mark.parametrize("shape", ["empty", "message"])
@pytest.mark.parametrize("name", BODY_STREAMS)
def test_checks_a_body_that_is_the_record(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, name: str, shape: str
) -> None:
    path = declarations()[name].endpoint.partition("{")[0] + "*"
    sandbox = new_sandbox(**SMALL, fault=[f"shape:as={shape},path={path},times=1"])
    run = tap_of(sandbox).read(catalog.of(protocol, [name])).ok()
    assert len(retries_of(run)) == 1
    assert differences_after(sandbox, catalog, (name,), run) == []


@pytest.mark.parametrize(
    ("case", "name", "fault"),
    [
        ("the body is an empty object", "postmortem_document_contents", "shape:as=empty"),
        ("the body is an empty object", "status_page_structures", "shape:as=empty"),
        ("the body has only a message", "postmortem_document_contents", "shape:as=message"),
        ("the body has only a message", "status_page_structures", "shape:as=message"),
        ("the list of active participants is missing", "incident_participants", "shape:as=missing_list,list=active"),
        ("the list of passive participants is null", "incident_participants", "shape:as=null_list,list=passive"),
    ],
)
def test_never_emits_a_body_without_its_record(
    new_sandbox: StartSandbox,
    tap_of: MakeTap,
    catalog: Catalog,
    protocol: str,
    case: str,
    name: str,
    fault: str,
    reliability: Report,
) -> None:
    """Every body of a child stream lacks what the API's contract requires. The connector retries it, then fails the
    stream. The next run emits every record."""
    path = declarations()[name].endpoint.partition("{")[0] + "*"
    sandbox = new_sandbox(**SMALL, fault=[f"{fault},path={path}"])
    run = tap_of(sandbox, max_retries=0).read(catalog.of(protocol, [name]))
    assert_clean_output(run)
    assert run.code == 1
    assert not run.records[name]
    sandbox.config(fault=[])
    next_run = tap_of(sandbox).read(catalog.of(protocol, [name]), run.state).ok()
    assert differences_after(sandbox, catalog, (name,), run, next_run) == []
    if protocol == AIRBYTE:
        failure_type, message = failures_of(run)[name]
        reliability(f"{case}, {name}", f"{failure_type}: {normalize(message.removeprefix(name + ': '))}")


# Lists that end early.


@pytest.mark.parametrize("shape", ["no_records", "half"])
def test_requests_a_short_last_page_again(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, shape: str, reliability: Report
) -> None:
    """The last page of a list is empty or short, although its `total_record_count` is far above the number of records
    that were read. The connector requests the page once more. If nothing changes, it logs a warning with both figures
    and keeps the rows of earlier syncs. It is not known whether the count respects the filters, so the stream does not
    fail."""
    sandbox = new_sandbox(**{**SMALL, "incidents": 60}, fault=[f"shape:as={shape},path=/v2/incidents,times=1"])
    names = ("incidents",)
    once = tap_of(sandbox).read(catalog.of(protocol, names)).ok()
    assert_clean_output(once)
    assert not once.log_lines("the API reports")
    assert differences_after(sandbox, catalog, names, once) == []
    reliability(f"{case_of(shape)} once, {protocol}", "the page is requested again; every record is emitted")
    sandbox.config(fault=[f"shape:as={shape},path=/v2/incidents"])
    sandbox.reset()
    short = tap_of(sandbox).read(catalog.of(protocol, names)).ok()
    assert sandbox.requests()["counts"]["GET /v2/incidents"] == 2
    total = len(once.records["incidents"])
    (warning,) = short.log_lines("incidents: the API reports")
    assert f"{total} records" in warning
    assert f"after {len(short.records['incidents'])}" in warning
    assert active_streams(short) == set()
    result = "a warning with both figures; rows of earlier syncs stay; exit code 0"
    reliability(f"{case_of(shape)} always, {protocol}", result)


def case_of(shape: str) -> str:
    return {"no_records": "an empty list", "half": "a short last page"}[shape]


# Cursors that the API does not accept any more.


def test_restarts_a_resumed_list_whose_cursor_is_refused(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Report
) -> None:
    """A sync resumes a killed one, and the API answers 422 to the cursor in the state."""
    sandbox = new_sandbox(**{**SMALL, "alerts": 500})
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["alerts"])
    killed = tap.read_until(220, *tap.read_arguments(selected), drain=False)
    sandbox.config(fault=["422:path=/v2/alerts,query=after=,times=1"])
    run = tap.read(selected, killed.state).ok()
    assert_clean_output(run)
    (line,) = run.log_lines("alerts: ", "restarts from its bookmark")
    assert differences_after(sandbox, catalog, ("alerts",), run) == []
    assert not run.log_lines("please report it")
    again = tap.read(selected, run.state).ok()
    assert not again.records["alerts"]
    warning = normalize(line.partition("alerts: ")[2])
    reliability(f"422 for `after` in the state, {protocol}", f"{warning}; every record is emitted; exit code 0")


def test_restarts_a_nested_list_whose_page_has_expired(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Report
) -> None:
    """The API answers 404 to a page in the middle of a list that is read as a whole for a nested column."""
    sandbox = new_sandbox(**SMALL, fault=["404:path=/v2/incident_updates,query=after=,nth=2"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["incidents"])).ok()
    assert_clean_output(run)
    assert run.log_lines("incident_updates: ", "expired", "restarts")
    assert differences_after(sandbox, catalog, ("incidents",), run) == []
    reliability(f"404 for a page of `updates`, {protocol}", "the nested list restarts; every record is emitted")


# One record that can't be read.


@pytest.mark.parametrize(
    ("path", "stream", "names"),
    [
        ("/v2/call_sessions", "call_sessions", ("incidents", "call_sessions")),
        ("/v1/incident_attachments", "incidents", ("incidents", "call_sessions")),
    ],
    ids=["children", "nested column"],
)
def test_one_incident_that_always_fails_holds_nothing_back(
    new_sandbox: StartSandbox,
    tap_of: MakeTap,
    catalog: Catalog,
    protocol: str,
    path: str,
    stream: str,
    names: tuple[str, ...],
    reliability: Report,
) -> None:
    """The children or a nested column of one incident always answer 500. Every other record is emitted, the run ends
    with exit code 1 and names the incident, and each sync tries it again."""
    sandbox = quiet_sandbox(new_sandbox, **SMALL)
    account = Account(sandbox).of(names)
    broken = account["call_sessions"][0]["incident_id"]
    fault = f"500:path={path},query=incident_id={broken}"
    sandbox.config(fault=[fault])
    tap, selected = tap_of(sandbox, max_retries=0), catalog.of(protocol, names)
    destination = Destination(catalog.keys)
    state, sizes = None, []
    for _ in range(3):
        (changed,) = change_incidents(sandbox, 1)
        sandbox.reset()
        run = tap.read(selected, state)
        assert_clean_output(run)
        assert run.code == 1
        assert broken in run.log
        assert not succeeded(run, stream)
        destination.load(run)
        assert {record["id"] for record in run.records["incidents"]} >= {changed} - {broken}
        assert sum(fault["struck"] for fault in sandbox.faults()) >= 1, "every sync tries the incident again"
        state = run.state
        sizes.append(len(json.dumps(state)))
    missing = list(differences(destination, Account(sandbox).of(names)))
    assert missing
    assert all(broken in line or stream == "call_sessions" for line in missing)
    assert max(sizes) <= sizes[0] + 100
    # Only the incident that failed is read again, and what changed.
    sandbox.config(fault=[])
    destination.load(tap.read(selected, state).ok())
    assert list(differences(destination, Account(sandbox).of(names))) == []
    assert "retry" not in json.dumps(tap.read(selected, state).ok().state)
    reliability(
        f"500 for {path} of one incident, {protocol}",
        "every other record is emitted; exit code 1; the message names the incident; the next sync that can read it "
        "emits it",
    )


def test_too_many_failing_incidents_end_the_stream(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, reliability: Report
) -> None:
    """The children of every incident answer 500."""
    sandbox = new_sandbox(**SMALL, fault=["500:path=/v2/call_sessions"])
    run = tap_of(sandbox, in_protocol=SINGER, max_retries=0).read(catalog.of(SINGER, ["incidents", "call_sessions"]))
    assert run.code == 1
    assert sandbox.requests()["counts"]["GET /v2/call_sessions"] < 15
    assert len(json.dumps(run.state)) < 2000
    assert differences_after(sandbox, catalog, ("incidents",), run) == []
    reliability("500 for the children of every incident", "the stream fails after a few requests; exit code 1")
