"""What is read is what the account holds, in both protocols."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from airbyte_cdk.models import AirbyteMessageSerializer

from integration_tests.conftest import KEY, MakeTap
from integration_tests.support.account import Account, declarations
from integration_tests.support.compare import normal
from integration_tests.support.tap import (
    AIRBYTE,
    SINGER,
    Catalog,
    Record,
    Run,
    Tap,
    by_key,
    fixed,
    without_nulls,
)
from sandbox import Sandbox

StartSandbox = Callable[..., Sandbox]
SIXTEEN = (
    "incidents",
    "actions",
    "follow_ups",
    "incident_updates",
    "incident_roles",
    "incident_statuses",
    "incident_timestamps",
    "incident_types",
    "severities",
    "custom_fields",
    "custom_field_options",
    "users",
    "escalations",
    "alerts",
    "alert_attributes",
    "alert_sources",
)


@pytest.fixture(scope="session")
def account(shared_sandbox: Sandbox) -> Account:
    return Account(shared_sandbox)


@pytest.fixture(scope="session")
def whole_read(shared_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """A read of all that is on by default, without a catalog."""

    @cache
    def read(protocol: str, workers: int) -> Run:
        config = {"api_key": KEY, "endpoint": shared_sandbox.url, "num_workers": workers}
        return Tap(protocol, config, tmp_path_factory.mktemp("whole")).read().ok()

    return read


@pytest.mark.parametrize("workers", [1, 20])
def test_everything_on_by_default_comes_as_the_account_holds_it(
    whole_read: Callable[..., Run], account: Account, catalog: Catalog, protocol: str, workers: int
) -> None:
    run = whole_read(protocol, workers)
    lists = [name for name in catalog.by_default if declarations()[name].records_key is not None]
    assert len(lists) > 40
    for name in lists:
        held = account.stream(name)
        assert_same(run.records[name], held, catalog.keys[name], name)
    assert {"incidents", "actions", "alerts", "incident_updates"} <= {name for name in lists if account.stream(name)}
    # what is no list: one object a parent
    assert {row["status_page_id"] for row in run.records["status_page_structures"]} == {
        page["id"] for page in account.stream("status_pages")
    }
    assert set(run.records) <= set(catalog.by_default)
    assert_valid_order(run)
    # nor does the key leave
    assert KEY.encode() not in run.stdout
    assert KEY not in run.stderr


def test_nested_columns_hold_what_the_api_has_of_the_incident(
    shared_sandbox: Sandbox, account: Account, tap_of: MakeTap, catalog: Catalog
) -> None:
    run = tap_of(shared_sandbox).read(catalog.of(tap_of(shared_sandbox).protocol, ["incidents"])).ok()
    held = by_key(account.stream("incidents"), ["id"])
    columns = ("attachments", "updates", "actions")
    for column in columns:
        assert any(incident[column] for incident in held.values())
    assert any(
        incident[column] is None for incident in held.values() for column in ("attachments", "updates", "actions")
    )
    assert_same(run.records["incidents"], list(held.values()), ["id"], "incidents")


@pytest.mark.parametrize(
    ("protocol", "left_out", "path"),
    [
        (AIRBYTE, "attachments", "/v1/incident_attachments"),
        (SINGER, "updates", "/v2/incident_updates"),
        (AIRBYTE, "actions", "/v3/actions"),
        (SINGER, "attachments", "/v1/incident_attachments"),
    ],
)
def test_a_nested_column_left_out_costs_no_request(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, left_out: str, path: str
) -> None:
    sandbox = new_sandbox(incidents=20, updates=40, actions=20)
    chosen = catalog.of(protocol, ["incidents"], without={"incidents": [left_out]})
    run = tap_of(sandbox).read(chosen).ok()
    asked = {entry["path"] for entry in sandbox.requests()["log"]}
    assert path not in asked
    assert len(asked) == 3
    assert run.records["incidents"]
    assert all(left_out not in incident for incident in run.records["incidents"])


def test_one_request_series_whatever_is_nested(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """Lists that are streams and nested columns at once are read once."""
    sandbox = new_sandbox(incidents=20, updates=40, actions=20)
    tap_of(sandbox).read(catalog.of(protocol, ["incidents", "incident_updates", "actions"])).ok()
    counts = sandbox.requests()["counts"]
    assert counts["GET /v2/incidents"] == 1
    assert counts["GET /v2/incident_updates"] == 1
    assert counts["GET /v3/actions"] == 1


@pytest.mark.parametrize(("protocol", "mode"), [(AIRBYTE, "test"), (SINGER, "tutorial")])
def test_incidents_of_another_mode_come_with_their_actions(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, mode: str
) -> None:
    names = ["incidents", "actions", "follow_ups"]
    modes = ("standard", mode)
    held = Account(shared_sandbox, modes)
    run = tap_of(shared_sandbox, incident_modes=list(modes)).read(catalog.of(protocol, names)).ok()
    for name in names:
        assert_same(run.records[name], held.stream(name), catalog.keys[name], name)


def test_a_field_that_nobody_knows(new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str) -> None:
    """It passes in Airbyte mode; in Singer mode it is dropped, and named once."""
    sandbox = new_sandbox(incidents=5)
    severities = sandbox.records("severities")
    sandbox.put("severities", [{**severity, "colour": {"hue": 7}} for severity in severities])
    user = sandbox.records("users")[0]
    sandbox.put("users", [{**user, "base_role": {**(user.get("base_role") or {}), "shade": 1}}])
    run = tap_of(sandbox).read(catalog.of(protocol, ["severities", "users"])).ok()
    assert len(run.records["severities"]) == len(severities)
    if protocol == AIRBYTE:
        assert all(record["colour"] == {"hue": 7} for record in run.records["severities"])
        assert [r["base_role"]["shade"] for r in run.records["users"] if r["id"] == user["id"]] == [1]
        assert "colour" not in run.log
    else:
        assert_same(run.records["severities"], severities, ["id"], "severities")
        assert b"shade" not in run.stdout
        assert run.stderr.count("severities.colour") == 1
        assert run.stderr.count("users.base_role.shade") == 1


def test_credentials_never_leave(shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str) -> None:
    sources = shared_sandbox.records("alert_sources")
    secrets = {
        source[field] for source in sources for field in ("secret_token", "alert_events_url") if source.get(field)
    }
    assert secrets
    run = tap_of(shared_sandbox).read(catalog.of(protocol, ["alert_sources"])).ok()
    assert len(run.records["alert_sources"]) == len(sources)
    for field in ("secret_token", "alert_events_url"):
        assert all(field not in record for record in run.records["alert_sources"])
    for secret in secrets:
        assert secret.encode() not in run.stdout
        assert secret not in run.stderr


def test_with_one_worker_the_output_is_the_same_from_run_to_run(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    chosen = catalog.of(protocol, [*SIXTEEN, "incident_attachments"])

    def said() -> list[dict[str, Any]]:
        run = tap_of(shared_sandbox, num_workers=1).read(chosen).ok()
        return [
            # A bookmark is the moment that the sync began.
            {"type": "STATE", "of": _positions(message)} if message["type"] == "STATE" else message
            for message in fixed(run.stdout, lambda message: message["type"] == "LOG")
        ]

    assert said() == said()


# Catalogs


@pytest.mark.parametrize(("protocol", "form"), [(AIRBYTE, SINGER), (SINGER, AIRBYTE)])
def test_a_catalog_of_one_protocol_works_in_the_other(
    shared_sandbox: Sandbox, account: Account, tap_of: MakeTap, catalog: Catalog, protocol: str, form: str
) -> None:
    chosen = catalog.of(form, ["severities", "actions"], without={"severities": ["rank"]})
    run = tap_of(shared_sandbox).read(chosen).ok()
    assert set(run.records) == {"severities", "actions"}
    if protocol == SINGER:
        assert all("rank" not in record for record in run.records["severities"])
    assert_same(run.records["actions"], account.stream("actions"), ["id", "incident_id"], "actions")


@pytest.mark.parametrize(("protocol", "form"), [(AIRBYTE, SINGER), (SINGER, AIRBYTE)])
def test_what_discover_prints_is_a_catalog(
    shared_sandbox: Sandbox, tap_of: MakeTap, protocol: str, form: str, tmp_path: Path
) -> None:
    printed = tap_of(shared_sandbox, speaks=form).command("discover").ok().stdout
    tap = tap_of(shared_sandbox)
    (tmp_path / "printed.json").write_bytes(printed if form == SINGER else _message(printed, "CATALOG"))
    arguments = tap.read_arguments(None)
    run = tap.run(*arguments, "--catalog", str(tmp_path / "printed.json")).ok()
    assert run.records["severities"]
    assert run.records["incidents"]


def test_a_catalog_of_the_go_tap_works_unchanged(
    new_sandbox: StartSandbox, tap_of: MakeTap, reference: Path, protocol: str
) -> None:
    document = json.loads((reference / "test_catalog.json").read_text())
    run = tap_of(new_sandbox(incidents=20)).read(document).ok()
    columns = {entry["stream"]: set(entry["schema"]["properties"]) for entry in document["streams"]}
    assert {"incidents", "alerts", "severities", "actions", "alert_sources"} <= set(run.records)
    assert "users" not in run.records  # selected: false
    if protocol == SINGER:
        for name, records in run.records.items():
            assert {column for record in records for column in record} <= columns[name]
    assert not any("secret_token" in record for record in run.records["alert_sources"])
    assert_valid_order(run)


@pytest.mark.parametrize(("protocol", "workers"), [(AIRBYTE, 1), (SINGER, 20)])
def test_the_recorded_account_comes_back_value_for_value(
    new_sandbox: StartSandbox, tap_of: MakeTap, reference: Path, workers: int
) -> None:
    """On the columns that the Go tap has; null and absent are the same."""
    sandbox = new_sandbox(data=str(reference / "sync"))
    run = tap_of(sandbox, num_workers=workers).read().ok()
    for file in sorted((reference / "sync").glob("*.json")):
        recorded = json.loads(file.read_text())
        came = by_key(run.records[file.stem], ["id"])
        assert len(came) == len(run.records[file.stem]) == len(recorded)
        for record in recorded:
            new = came[(record["id"],)]
            assert without_nulls({column: new.get(column) for column in record}) == without_nulls(record)


# Messages


def test_every_message_is_of_the_airbyte_protocol(whole_read: Callable[..., Run]) -> None:
    run = whole_read(AIRBYTE, 20)
    kinds = set()
    for message in run.messages:
        loaded = AirbyteMessageSerializer.load(message)
        assert loaded.type is not None
        kinds.add(loaded.type.value)
    assert kinds == {"LOG", "RECORD", "STATE", "TRACE"}
    assert run.statuses("severities") == ["STARTED", "RUNNING", "COMPLETE"]


def test_counts_in_the_states_add_up_to_the_records(whole_read: Callable[..., Run]) -> None:
    run = whole_read(AIRBYTE, 20)
    counts: dict[str, float] = {}
    for message in run.of_type("STATE"):
        name = message["state"]["stream"]["stream_descriptor"]["name"]
        counts[name] = counts.get(name, 0) + message["state"]["sourceStats"]["recordCount"]
    assert {name: count for name, count in counts.items() if count} == run.counts


# check, and what a key may not read


def test_check_says_what_is_wrong_with_the_key(shared_sandbox: Sandbox, tap_of: MakeTap, protocol: str) -> None:
    good = tap_of(shared_sandbox).command("check").ok()
    if protocol == AIRBYTE:
        assert good.of_type("CONNECTION_STATUS")[0]["connectionStatus"]["status"] == "SUCCEEDED"
    bad = tap_of(shared_sandbox).command("check", api_key="another-key-0815")
    assert "does not accept the API key" in failure_of(bad)
    assert "another-key-0815" not in bad.log
    assert b"another-key-0815" not in bad.stdout


def test_check_names_the_scope_that_incidents_need(new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str) -> None:
    scopes = _scopes("/v2/incidents")
    bad = tap_of(new_sandbox(incidents=3, forbid=scopes)).command("check")
    assert scopes[0] in failure_of(bad)
    assert "/v2/incidents" in failure_of(bad)
    assert "Nor can it read these: incident_updates" in failure_of(bad)


def test_check_names_what_else_a_key_without_incidents_may_not_read(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    forbidden = [*_scopes("/v2/incidents"), *_scopes("/v2/workflows"), *_scopes("/v2/schedules")]
    said = failure_of(tap_of(new_sandbox(incidents=3, forbid=forbidden)).command("check"))
    assert {"workflows", "schedules"} <= set(re.findall(r"\w+", said.partition("Nor can it read these: ")[2]))
    assert "severities" not in said


def test_check_does_not_fail_for_a_stream_that_the_key_may_not_read(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    scope = "workflows.view"
    run = tap_of(new_sandbox(incidents=3, forbid=[scope])).command("check").ok()
    if protocol == AIRBYTE:
        assert run.of_type("CONNECTION_STATUS")[0]["connectionStatus"]["status"] == "SUCCEEDED"
    assert "workflows" in run.log
    assert scope in run.log


def test_read_with_a_wrong_key_says_so_once_a_stream_and_fails(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    run = tap_of(shared_sandbox, api_key="another-key-0815").read(catalog.of(protocol, ["severities", "users"]))
    assert run.code == 1
    assert not run.records
    assert "does not accept the API key" in run.log
    assert "another-key-0815" not in run.log
    assert b"another-key-0815" not in run.stdout


def test_a_stream_that_nobody_chose_is_left_out_with_a_warning(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=10, forbid=["workflows.view"])
    run = tap_of(sandbox).read().ok()
    assert "workflows" not in run.records
    assert "workflows is left out" in run.log
    assert "workflows.view" in run.log
    assert run.records["incidents"]
    if protocol == AIRBYTE:
        assert not run.traces("ERROR")
        assert run.statuses("workflows") == []


def test_a_chosen_stream_that_the_key_may_not_read_fails_the_run_after_the_others(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=10, forbid=["workflows.view"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["workflows", "severities", "incidents"]))
    assert run.code == 1
    assert_same(run.records["incidents"], Account(sandbox).stream("incidents"), ["id"], "incidents")
    assert run.records["severities"]
    assert "workflows" in run.log
    assert "workflows.view" in run.log
    assert "Grant it" in run.log
    if protocol == AIRBYTE:
        assert run.statuses("workflows")[-1] == "INCOMPLETE"
        assert run.statuses("incidents")[-1] == "COMPLETE"
        (trace,) = [item for item in run.traces("ERROR") if item["error"].get("stream_descriptor")]
        assert trace["error"]["failure_type"] == "config_error"
        assert trace["error"]["stream_descriptor"]["name"] == "workflows"


def assert_same(came: list[Record], held: list[Record], keys: list[str], name: str) -> None:
    """The same records, each once, value for value."""
    new, old = by_key(came, keys), by_key(held, keys)
    assert len(new) == len(came), f"{name}: a record came twice"
    assert new.keys() == old.keys(), f"{name}: {len(new)} came, {len(old)} are held"
    for key, record in new.items():
        assert normal(record) == normal(old[key]), f"{name} {key}"


def assert_valid_order(run: Run) -> None:
    """At every line: Singer, SCHEMA before a stream's records and states that know streams; Airbyte, statuses."""
    if run.protocol == SINGER:
        told: set[str] = set()
        for message in run.messages:
            if message["type"] == "SCHEMA":
                told.add(message["stream"])
                assert set(message["key_properties"]) <= set(message["schema"]["properties"])
            elif message["type"] == "RECORD":
                assert message["stream"] in told
                assert message["time_extracted"]
            else:
                assert message["type"] == "STATE"
                assert set(message["value"]) <= {"bookmarks", "currently_syncing"}
                assert message["value"].get("currently_syncing", next(iter(told))) in told
        assert run.messages[-1]["type"] == "STATE"
        assert "currently_syncing" not in run.messages[-1]["value"]
        return
    at: dict[str, str] = {}
    for message in run.messages:
        if message["type"] == "RECORD":
            assert at[message["record"]["stream"]] == "RUNNING"
        elif message["type"] == "STATE":
            assert at[message["state"]["stream"]["stream_descriptor"]["name"]] in ("STARTED", "RUNNING")
        elif message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            name = status["stream_descriptor"]["name"]
            before = {"STARTED": None, "RUNNING": "STARTED"}
            assert at.get(name) == before.get(status["status"], at.get(name))
            at[name] = status["status"]
    assert set(at.values()) == {"COMPLETE"}


def failure_of(run: Run) -> str:
    """What a failed check says."""
    if run.protocol == AIRBYTE:
        (message,) = run.of_type("CONNECTION_STATUS")
        assert message["connectionStatus"]["status"] == "FAILED"
        return str(message["connectionStatus"]["message"])
    assert run.code == 1
    return run.stderr


def _scopes(path: str) -> list[str]:
    contract = json.loads((Path(__file__).parents[1] / "sandbox" / "contract.json").read_text())
    found = contract["endpoints"][path]["scopes"]
    assert found
    return list(found)


def _positions(message: dict[str, Any]) -> list[str]:
    """The pages that a state goes on from."""
    text = orjson.dumps(message)
    found = []
    while (at := text.find(b'"after":"')) >= 0:
        text = text[at + 9 :]
        found.append(text[: text.find(b'"')].decode())
    return found


def _message(stdout: bytes, kind: str) -> bytes:
    (line,) = [line for line in stdout.splitlines() if orjson.loads(line)["type"] == kind]
    return line
