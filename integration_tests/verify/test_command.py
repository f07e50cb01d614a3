"""The command: formats, exit codes, the streams of a catalog, and that no value leaves the account."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.sources.utils.casing import camel_to_snake

from integration_tests.support.sandboxes import KEY, StartSandbox
from integration_tests.support.tap import ROOT, SINGER, MakeTap, Run, Tap
from integration_tests.support.terminal import Terminal
from integration_tests.verify.proxy import Answer, Proxy
from sandbox import Sandbox
from source_incident.streams import STREAMS
from source_incident.verify.assumptions import ASSUMPTIONS

FEW = {"streams": [{"tap_stream_id": name} for name in ("severities", "teams")]}
SECRET = "customer-secret-71"
STREAM_NAMES = [camel_to_snake(stream.__name__) for stream in STREAMS]
FIELD_NAMES = re.findall(
    r'"(\w+)":', "".join(path.read_text() for path in (ROOT / "source_incident" / "schemas").glob("*.json"))
)
ID = re.compile(r"\b01[0-9A-Z]{24}\b")


@pytest.fixture
def tap(tmp_path: Path) -> Tap:
    return Tap(SINGER, {"api_key": KEY, "max_retries": 0}, tmp_path)


def verify(tap: Tap, url: str, *arguments: str, catalog: Any = FEW) -> Run:
    files = ["--catalog", tap.file("catalog", catalog)] if catalog else []
    return tap.run("--verify", "--config", tap.file("config", {**tap.config, "endpoint": url}), *files, *arguments)


def test_json_has_each_assumption_with_its_result(tap: Tap, shared_sandbox: Sandbox) -> None:
    report = json.loads(verify(tap, shared_sandbox.url, "--format", "json").ok().stdout)
    assert [item["name"] for item in report["assumptions"]] == [item.name for item in ASSUMPTIONS]
    assert {item["result"] for item in report["assumptions"]} == {"holds", "could not be tried"}
    assert [item["name"] for item in report["streams"]] == ["severities", "teams"]
    assert report["holds"] is True


def test_without_a_terminal_the_output_is_markdown(tap: Tap, shared_sandbox: Sandbox) -> None:
    run = verify(tap, shared_sandbox.url).ok()
    assert b"| holds | `records.types`: " in run.stdout
    assert b"| could not be tried | `filters.since.alerts`: " in run.stdout
    assert run.stderr == ""


def test_the_exit_code_is_1_if_an_assumption_does_not_hold(tap: Tap, new_sandbox: StartSandbox) -> None:
    run = verify(tap, new_sandbox(fault=["duplicate:path=/v1/severities"]).url)
    assert run.code == 1
    assert b"| does not hold | `records.unique`: " in run.stdout


def test_the_exit_code_is_1_if_the_key_is_rejected(tap: Tap, new_sandbox: StartSandbox) -> None:
    run = verify(tap, new_sandbox(key="another").url)
    assert (run.code, run.stdout) == (1, b"")
    assert "does not accept the API key" in run.stderr


@pytest.mark.parametrize("arguments", [["--format", "xml"], ["--config", "missing.json"], ["--test"]])
def test_the_exit_code_is_2_if_the_input_cannot_be_used(
    tap: Tap, shared_sandbox: Sandbox, arguments: list[str]
) -> None:
    assert verify(tap, shared_sandbox.url, *arguments).code == 2


def test_a_terminal_gets_a_table(tmp_path: Path, shared_sandbox: Sandbox, tap: Tap) -> None:
    config = tap.file("config", {**tap.config, "endpoint": shared_sandbox.url})
    command = (sys.executable, "-m", "source_incident", "--verify", "--config", config)
    terminal = Terminal(*command, "--catalog", tap.file("catalog", FEW), directory=Path.cwd(), COLUMNS="120")
    try:
        terminal.until("of at most 80 requests")
        terminal.until("records.types")
        assert terminal.end() == 0
    finally:
        terminal.kill()
    assert "┃" in terminal.shown


def test_check_does_not_verify(tap_of: MakeTap, new_sandbox: StartSandbox) -> None:
    sandbox = new_sandbox()
    run = tap_of(sandbox).command("check").ok()
    assert "verif" not in run.log.lower()
    assert sandbox.requests(log=False)["total"] < 60


def _leak_everything(answer: Answer) -> None:
    """Put values of the account wherever the output could repeat something of an answer."""
    answer.headers |= {"x-ratelimit-limit": SECRET, "date": SECRET}
    if not isinstance(answer.body, dict):
        return
    if answer.path == "/v1/severities":
        answer.status, answer.body = 403, {
            "type": SECRET,
            "request_id": SECRET,
            "errors": [{"code": SECRET, "message": f"{SECRET} {KEY}", "metadata": {"scope": f"{SECRET} {KEY}"}}],
        }  # fmt: skip
    elif answer.path == "/v1/incident_types":
        answer.status, answer.body = 422, {"type": SECRET, "errors": [{"code": SECRET, "message": SECRET}]}
    elif answer.path == "/v3/teams":
        answer.body = {SECRET: answer.body}
    elif answer.path == "/v2/custom_fields":
        answer.body["pagination_meta"] = {"after": SECRET}
    elif answer.path == "/v2/users":
        answer.records.append(answer.records[0])
    elif answer.status == 200 and "pagination_meta" in answer.body:
        for record in answer.records:
            for name in [name for name, value in record.items() if isinstance(value, str) and name != "id"]:
                record[name] = [record[name]]
            record |= {SECRET: SECRET, record.get("id", SECRET): 1, "colour": {SECRET: SECRET}}


@pytest.mark.parametrize("form", ["json", "markdown", "table"])
@pytest.mark.parametrize("is_broken", [False, True])
def test_no_value_no_id_and_no_key_is_printed(form: str, is_broken: bool, tap: Tap, shared_sandbox: Sandbox) -> None:
    with Proxy(shared_sandbox.url, change_answer=_leak_everything if is_broken else None) as proxy:
        if form == "table":
            config = tap.file("config", {**tap.config, "endpoint": proxy.url})
            command = (sys.executable, "-m", "source_incident", "--verify", "--config", config)
            terminal = Terminal(*command, directory=Path.cwd(), COLUMNS="500")
            try:
                code = terminal.end()
            finally:
                terminal.kill()
            shown = terminal.shown
        else:
            run = verify(tap, proxy.url, "--format", form, "--debug", catalog=None)
            code, shown = run.code, run.stdout.decode() + run.stderr
    assert code == is_broken, shown
    assert ID.findall(shown) == []
    assert KEY not in shown
    assert SECRET not in shown
    assert [value for value in sorted(account_values(shared_sandbox)) if value in shown] == []
    assert "colour" in shown or not is_broken


def account_values(sandbox: Sandbox) -> set[str]:
    """Texts of the account's records that are not also words of the report."""
    values: set[str] = set()
    for name in ("incidents", "users", "alerts", "severities", "teams", "custom_fields", "schedules", "secrets",
                 "alert_sources", "catalog_types", "escalations", "workflows"):  # fmt: skip
        for record in sandbox.records(name):
            values.update(_texts(record))
    # Names of modes, categories, streams and fields are values in some records.
    own_words = " ".join((*(f"{item.name} {item.text}" for item in ASSUMPTIONS), *STREAM_NAMES, *FIELD_NAMES)).lower()
    return {value for value in values if len(value) > 5 and value.lower() not in own_words}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for element in value.values() if isinstance(value, dict) else value:
            yield from _texts(element)
