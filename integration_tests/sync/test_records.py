"""The emitted records, messages and statuses, in both protocols."""

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

from integration_tests.support.account import Account, declarations
from integration_tests.support.catalog import GO_TAP_STREAMS, Catalog
from integration_tests.support.compare import assert_same_records, by_key, without_nulls
from integration_tests.support.sandboxes import KEY, SCOPES, StartSandbox, first_pages
from integration_tests.support.tap import AIRBYTE, SINGER, MakeTap, Run, Tap
from sandbox import Sandbox


@pytest.fixture(scope="session")
def account(shared_sandbox: Sandbox) -> Account:
    return Account(shared_sandbox)


@pytest.fixture(scope="session")
def default_read(shared_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Read all default streams, without a catalog: `default_read(protocol, workers)`."""

    @cache
    def read(protocol: str, workers: int) -> Run:
        config = {"api_key": KEY, "endpoint": shared_sandbox.url, "num_workers": workers}
        return Tap(protocol, config, tmp_path_factory.mktemp("default")).read().ok()

    return read


@pytest.mark.parametrize("workers", [1, 20])
def test_reads_every_default_stream_with_equal_values(
    default_read: Callable[..., Run], account: Account, catalog: Catalog, protocol: str, workers: int
) -> None:
    run = default_read(protocol, workers)
    lists = [name for name in catalog.by_default if declarations()[name].records_key is not None]
    assert len(lists) > 40
    for name in lists:
        assert_same_records(run.records[name], account.stream(name), catalog.keys[name], name)
    assert {"incidents", "actions", "alerts", "incident_updates"} <= {name for name in lists if account.stream(name)}
    # a stream without a list: one object per parent
    assert {record["status_page_id"] for record in run.records["status_page_structures"]} == {
        page["id"] for page in account.stream("status_pages")
    }
    assert set(run.records) <= set(catalog.by_default)
    assert_valid_order(run)
    assert KEY.encode() not in run.stdout
    assert KEY not in run.stderr


def test_nested_columns_have_the_records_of_the_incident(
    shared_sandbox: Sandbox, account: Account, tap_of: MakeTap, catalog: Catalog
) -> None:
    tap = tap_of(shared_sandbox)
    run = tap.read(catalog.of(tap.protocol, ["incidents"])).ok()
    incidents = account.stream("incidents")
    columns = ("attachments", "updates", "actions")
    for column in columns:
        assert any(incident[column] for incident in incidents)
    assert any(incident[column] is None for incident in incidents for column in columns)
    assert_same_records(run.records["incidents"], incidents, ["id"], "incidents")


@pytest.mark.parametrize(
    ("protocol", "excluded", "path"),
    [
        (AIRBYTE, "attachments", "/v1/incident_attachments"),
        (SINGER, "updates", "/v2/incident_updates"),
        (AIRBYTE, "actions", "/v3/actions"),
        (SINGER, "attachments", "/v1/incident_attachments"),
    ],
)
def test_sends_no_requests_for_a_nested_column_that_is_not_selected(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, excluded: str, path: str
) -> None:
    sandbox = new_sandbox(incidents=20, updates=40, actions=20)
    selected = catalog.of(protocol, ["incidents"], without={"incidents": [excluded]})
    run = tap_of(sandbox).read(selected).ok()
    paths = {entry["path"] for entry in sandbox.requests()["log"]}
    assert path not in paths
    # incidents, two nested columns, and the statuses, whose categories the filter has to name
    assert len(paths) == 4
    assert "/v1/incident_statuses" in paths
    assert run.records["incidents"]
    assert all(excluded not in incident for incident in run.records["incidents"])


def test_reads_a_list_once_for_a_stream_and_a_nested_column(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=20, updates=40, actions=20)
    tap_of(sandbox).read(catalog.of(protocol, ["incidents", "incident_updates", "actions"])).ok()
    counts = first_pages(sandbox)
    assert counts["/v2/incidents"] == 1
    assert counts["/v2/incident_updates"] == 1
    assert counts["/v3/actions"] == 1


@pytest.mark.parametrize(("protocol", "mode"), [(AIRBYTE, "test"), (SINGER, "tutorial")])
def test_reads_incidents_of_other_modes_and_their_actions(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, mode: str
) -> None:
    names = ["incidents", "actions", "follow_ups"]
    modes = ("standard", mode)
    account = Account(shared_sandbox, modes)
    run = tap_of(shared_sandbox, incident_modes=list(modes)).read(catalog.of(protocol, names)).ok()
    for name in names:
        assert_same_records(run.records[name], account.stream(name), catalog.keys[name], name)


def test_never_emits_or_logs_credentials(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
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


def test_one_worker_gives_the_same_output_in_every_run(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    selected = catalog.of(protocol, [*GO_TAP_STREAMS, "incident_attachments"])

    def output() -> list[dict[str, Any]]:
        return without_times(tap_of(shared_sandbox, num_workers=1).read(selected).ok())

    assert output() == output()


# Catalogs


@pytest.mark.parametrize(("protocol", "catalog_format"), [(AIRBYTE, SINGER), (SINGER, AIRBYTE)])
def test_accepts_a_catalog_of_the_other_protocol(
    shared_sandbox: Sandbox, account: Account, tap_of: MakeTap, catalog: Catalog, protocol: str, catalog_format: str
) -> None:
    selected = catalog.of(catalog_format, ["severities", "actions"], without={"severities": ["rank"]})
    run = tap_of(shared_sandbox).read(selected).ok()
    assert set(run.records) == {"severities", "actions"}
    if protocol == SINGER:
        assert all("rank" not in record for record in run.records["severities"])
    assert_same_records(run.records["actions"], account.stream("actions"), ["id", "incident_id"], "actions")


@pytest.mark.parametrize(("protocol", "catalog_format"), [(AIRBYTE, SINGER), (SINGER, AIRBYTE)])
def test_accepts_the_output_of_discover_as_a_catalog(
    shared_sandbox: Sandbox, tap_of: MakeTap, protocol: str, catalog_format: str, tmp_path: Path
) -> None:
    printed = tap_of(shared_sandbox, in_protocol=catalog_format).command("discover").ok().stdout
    tap = tap_of(shared_sandbox)
    (tmp_path / "printed.json").write_bytes(printed if catalog_format == SINGER else _message(printed, "CATALOG"))
    arguments = tap.read_arguments(None)
    run = tap.run(*arguments, "--catalog", str(tmp_path / "printed.json")).ok()
    assert run.records["severities"]
    assert run.records["incidents"]


def test_accepts_a_catalog_of_the_go_tap(
    new_sandbox: StartSandbox, tap_of: MakeTap, reference: Path, protocol: str
) -> None:
    document = json.loads((reference / "test_catalog.json").read_text())
    run = tap_of(new_sandbox(incidents=20)).read(document).ok()
    columns = {entry["stream"]: set(entry["schema"]["properties"]) for entry in document["streams"]}
    assert {"incidents", "alerts", "severities", "actions", "alert_sources"} <= set(run.records)
    assert "users" not in run.records  # "selected": false
    if protocol == SINGER:
        for name, records in run.records.items():
            assert {column for record in records for column in record} <= columns[name]
    assert not any("secret_token" in record for record in run.records["alert_sources"])
    assert_valid_order(run)


@pytest.mark.parametrize(("protocol", "workers"), [(AIRBYTE, 1), (SINGER, 20)])
def test_emits_the_recorded_account_with_equal_values(
    new_sandbox: StartSandbox, tap_of: MakeTap, reference: Path, workers: int
) -> None:
    """Compares the columns of the Go tap. A null is equal to a missing key."""
    sandbox = new_sandbox(data=str(reference / "sync"))
    run = tap_of(sandbox, num_workers=workers).read().ok()
    for file in sorted((reference / "sync").glob("*.json")):
        recorded = json.loads(file.read_text())
        emitted = by_key(run.records[file.stem], ["id"])
        assert len(emitted) == len(run.records[file.stem]) == len(recorded)
        for record in recorded:
            new = emitted[(record["id"],)]
            assert without_nulls({column: new.get(column) for column in record}) == without_nulls(record)


# Messages


def test_every_message_is_valid_in_the_airbyte_protocol(default_read: Callable[..., Run]) -> None:
    run = default_read(AIRBYTE, 20)
    kinds = set()
    for message in run.messages:
        loaded = AirbyteMessageSerializer.load(message)
        assert loaded.type is not None
        kinds.add(loaded.type.value)
    assert kinds == {"LOG", "RECORD", "STATE", "TRACE"}
    assert run.statuses("severities") == ["STARTED", "RUNNING", "COMPLETE"]


def test_record_counts_in_the_states_add_up(default_read: Callable[..., Run]) -> None:
    run = default_read(AIRBYTE, 20)
    counts: dict[str, float] = {}
    for message in run.of_type("STATE"):
        name = message["state"]["stream"]["stream_descriptor"]["name"]
        counts[name] = counts.get(name, 0) + message["state"]["sourceStats"]["recordCount"]
    assert {name: count for name, count in counts.items() if count} == run.counts


# Keys that are wrong or lack scopes


def test_check_rejects_a_wrong_key(shared_sandbox: Sandbox, tap_of: MakeTap, protocol: str) -> None:
    good = tap_of(shared_sandbox).command("check").ok()
    if protocol == AIRBYTE:
        assert good.of_type("CONNECTION_STATUS")[0]["connectionStatus"]["status"] == "SUCCEEDED"
    bad = tap_of(shared_sandbox).command("check", api_key="another-key-0815")
    assert "does not accept the API key" in failure_of(bad)
    assert "another-key-0815" not in bad.log
    assert b"another-key-0815" not in bad.stdout


def test_check_reports_the_missing_scope_of_incidents(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    scopes = SCOPES["/v2/incidents"]
    bad = tap_of(new_sandbox(incidents=3, forbid=scopes)).command("check")
    assert scopes[0] in failure_of(bad)
    assert "/v2/incidents" in failure_of(bad)
    assert "incident_updates" in failure_of(bad)


def test_check_reports_every_other_stream_that_lacks_its_scope(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    forbidden = [*SCOPES["/v2/incidents"], *SCOPES["/v2/workflows"], *SCOPES["/v2/schedules"]]
    message = failure_of(tap_of(new_sandbox(incidents=3, forbid=forbidden)).command("check"))
    assert {"workflows", "schedules"} <= set(re.findall(r"\w+", message))
    assert "severities" not in message


def test_check_succeeds_if_the_key_lacks_a_scope_of_another_stream(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    scope = "workflows.view"
    run = tap_of(new_sandbox(incidents=3, forbid=[scope])).command("check").ok()
    if protocol == AIRBYTE:
        assert run.of_type("CONNECTION_STATUS")[0]["connectionStatus"]["status"] == "SUCCEEDED"
    assert "workflows" in run.log
    assert scope in run.log


def test_read_fails_with_a_wrong_key(shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str) -> None:
    run = tap_of(shared_sandbox, api_key="another-key-0815").read(catalog.of(protocol, ["severities", "users"]))
    assert run.code == 1
    assert not run.records
    assert "does not accept the API key" in run.log
    assert "another-key-0815" not in run.log
    assert b"another-key-0815" not in run.stdout


def test_skips_a_default_stream_without_its_scope_with_a_warning(
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


def test_a_selected_stream_without_its_scope_fails_after_the_others(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=10, forbid=["workflows.view"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["workflows", "severities", "incidents"]))
    assert run.code == 1
    assert_same_records(run.records["incidents"], Account(sandbox).stream("incidents"), ["id"], "incidents")
    assert run.records["severities"]
    assert "workflows" in run.log
    assert "workflows.view" in run.log
    assert "Grant" in run.log
    if protocol == AIRBYTE:
        assert run.statuses("workflows")[-1] == "INCOMPLETE"
        assert run.statuses("incidents")[-1] == "COMPLETE"
        (trace,) = [trace for trace in run.traces("ERROR") if trace["error"].get("stream_descriptor")]
        assert trace["error"]["failure_type"] == "config_error"
        assert trace["error"]["stream_descriptor"]["name"] == "workflows"


def assert_valid_order(run: Run) -> None:
    """Check that SCHEMA messages precede records and states (Singer), or that statuses are in order (Airbyte)."""
    if run.protocol == SINGER:
        without_versions: set[str] = set()
        with_schema: set[str] = set()
        activated: set[str] = set()
        for message in run.messages:
            if message["type"] == "SCHEMA":
                with_schema.add(message["stream"])
                assert set(message["key_properties"]) <= set(message["schema"]["properties"])
                if "version" in message["schema"]["properties"]:
                    without_versions.add(message["stream"])
            elif message["type"] == "RECORD":
                assert message["stream"] in with_schema - activated
                assert message["time_extracted"]
                assert bool(message.get("version")) != (message["stream"] in without_versions)
            elif message["type"] == "ACTIVATE_VERSION":
                assert message["stream"] in with_schema - activated
                activated.add(message["stream"])
            else:
                assert message["type"] == "STATE"
                assert set(message["value"]) <= {"bookmarks", "currently_syncing"}
                assert message["value"].get("currently_syncing", next(iter(with_schema))) in with_schema
        assert run.messages[-1]["type"] == "STATE"
        assert "currently_syncing" not in run.messages[-1]["value"]
        return
    statuses: dict[str, str] = {}
    for message in run.messages:
        if message["type"] == "RECORD":
            assert statuses[message["record"]["stream"]] == "RUNNING"
        elif message["type"] == "STATE":
            assert statuses[message["state"]["stream"]["stream_descriptor"]["name"]] in ("STARTED", "RUNNING")
        elif message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            name = status["stream_descriptor"]["name"]
            previous = {"STARTED": None, "RUNNING": "STARTED"}
            assert statuses.get(name) == previous.get(status["status"], statuses.get(name))
            statuses[name] = status["status"]
    assert set(statuses.values()) == {"COMPLETE"}


def failure_of(run: Run) -> str:
    """Return the message of a failed check."""
    if run.protocol == AIRBYTE:
        (message,) = run.of_type("CONNECTION_STATUS")
        assert message["connectionStatus"]["status"] == "FAILED"
        return str(message["connectionStatus"]["message"])
    assert run.code == 1
    return run.stderr


def without_times(run: Run) -> list[dict[str, Any]]:
    """Return the messages without log messages, times and versions. Of a state only its page cursors are kept."""
    messages = []
    for message in run.messages:
        message.pop("time_extracted", None)
        message.pop("version", None)
        if message["type"] == "RECORD" and "emitted_at" in message["record"]:
            del message["record"]["emitted_at"]
        if message["type"] == "TRACE":
            del message["trace"]["emitted_at"]
        if message["type"] == "STATE":
            cursors = re.findall(rb'"after":"([^"]*)"', orjson.dumps(message))
            messages.append({"type": "STATE", "after": cursors})
        elif message["type"] != "LOG":
            messages.append(message)
    return messages


def _message(stdout: bytes, kind: str) -> bytes:
    (line,) = [line for line in stdout.splitlines() if orjson.loads(line)["type"] == kind]
    return line
