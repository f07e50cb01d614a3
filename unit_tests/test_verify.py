"""The declarations of the assumptions, the comparison with a schema, and the report."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from source_incident.api.memory import MemoryBudget, PageMemory
from source_incident.config import Config
from source_incident.connection import make_client, make_streams
from source_incident.streams import STREAMS
from source_incident.streams.incidents import Severities
from source_incident.streams.page import Page
from source_incident.verify.account import MAX_REQUESTS, Account, VerifyClient
from source_incident.verify.assumption import (
    MAX_DETAILS,
    Assumption,
    Evidence,
    NotTriedError,
    Outcome,
    RefusedError,
    Result,
    field_name,
    scope_name,
)
from source_incident.verify.assumptions import ASSUMPTIONS, NOT_CHECKABLE
from source_incident.verify.report import Report, StreamResult
from source_incident.verify.schemas import differences

ROOT = Path(__file__).parents[1]
ACCOUNT = cast(Account, None)


def sections() -> dict[str, str]:
    """The sections of docs/api.md with their texts."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda assumption: assumption.name)
def test_an_assumption_cites_a_section_of_api_md(assumption: Assumption) -> None:
    assert assumption.section in sections()


def test_every_section_of_api_md_has_an_assumption_or_a_reason_why_not() -> None:
    covered = {assumption.section for assumption in ASSUMPTIONS}
    assert sections().keys() == covered | NOT_CHECKABLE.keys()
    assert covered.isdisjoint(NOT_CHECKABLE)


def test_names_are_unique_and_in_the_documentation() -> None:
    names = [assumption.name for assumption in ASSUMPTIONS]
    assert len(set(names)) == len(names)
    page = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_the_default_streams_and_all_checks_fit_into_the_limit_of_requests() -> None:
    first_pages = sum(stream.selected_by_default for stream in STREAMS)
    # The check of has_notes reads the first page of alert_notes.
    other_streams = {name for assumption in ASSUMPTIONS for name in assumption.streams} - {"alert_notes"}
    checks = sum(assumption.requests for assumption in ASSUMPTIONS)
    assert 1 + first_pages + len(other_streams) + checks <= MAX_REQUESTS


def test_other_commands_do_not_import_the_module() -> None:
    code = "import sys, source_incident.run as run; run.import_app(); print('source_incident.verify' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("error", "outcome", "details"),
    [
        (NotTriedError("no records"), Outcome.NOT_TRIED, "no records"),
        (RefusedError("refused"), Outcome.FAILS, "refused"),
        (KeyError("secret"), Outcome.NOT_TRIED, "the check failed (KeyError), please report it"),
    ],
)
def test_an_error_of_a_check_is_a_result(error: Exception, outcome: Outcome, details: str) -> None:
    def check(_: Account) -> Result:
        raise error

    assert Assumption("a", "Pages", "", check).verify(ACCOUNT) == Result(outcome, (details,))


def test_a_result_shows_a_limited_number_of_details() -> None:
    evidence = Evidence()
    for number in range(MAX_DETAILS + 3):
        evidence.expect(False, str(number))
    result = evidence.result("")
    assert len(result.details) == MAX_DETAILS + 1
    assert result.details[-1] == "and 3 more"


def test_without_a_case_nothing_was_tried() -> None:
    assert Evidence().result("no records") == Result(Outcome.NOT_TRIED, ("no records",))


@pytest.mark.parametrize("name", ["colour", "slack_user_id", "oauth2_client", "last_four_chars"])
def test_names_of_fields_are_shown(name: str) -> None:
    assert field_name(name) == name


@pytest.mark.parametrize(
    "name", ["01FCNDV6P870EA6S7TK1DSYDG0", "Payments API", "a@b.example", "ab12cd34ef", "x" * 61, "", 7, "deadbeef1234"]
)
def test_keys_that_can_be_values_are_not_shown(name: object) -> None:
    assert field_name(name) == "(a key that is not a field's name)"


def test_a_scope_is_shown_only_if_it_looks_like_one() -> None:
    assert scope_name("incident_workloads.view_private") == "incident_workloads.view_private"
    assert scope_name("the key inc_123") == scope_name(None) == "(not named)"


SCHEMA: dict[str, Any] = {
    "properties": {
        "id": {"type": "string"},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "rank": {"type": "number"},
        "count": {"type": "integer"},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "labels": {"type": ["null", "object"], "additionalProperties": {"type": "string"}},
        "anything": {"type": ["null", "object"], "additionalProperties": True},
    }
}
RECORD: dict[str, Any] = {"id": "1", "rank": 1, "count": 2, "parts": []}


@pytest.mark.parametrize(
    ("change", "kind", "expected"),
    [
        ({}, "wrong_types", {}),
        ({"at": None}, "wrong_types", {}),
        ({"at": "0001-01-01T00:00:00Z"}, "wrong_types", {}),
        ({"at": "2026-01-02T03:04:04.43Z"}, "wrong_types", {}),
        ({"at": "today"}, "wrong_types", {"s.at is not a timestamp": 1}),
        ({"rank": 1.5}, "wrong_types", {}),
        ({"count": 2.0}, "wrong_types", {}),
        ({"count": 2.5}, "wrong_types", {"s.count is number instead of integer": 1}),
        ({"count": True}, "wrong_types", {"s.count is boolean instead of integer": 1}),
        ({"id": None}, "wrong_types", {"s.id is null instead of string": 1}),
        ({"at": []}, "wrong_types", {"s.at is array instead of string or null": 1}),
        ({"parts": [{"name": 1}, {"name": 2}]}, "wrong_types", {"s.parts[].name is integer instead of string": 2}),
        ({"labels": {"secret": 1}}, "wrong_types", {"s.labels.* is integer instead of string": 1}),
        ({"parts": [{"name": "a", "colour": 1}]}, "unknown", {"s.parts[].colour": 1}),
        ({"labels": {"secret": "a"}, "anything": {"secret": 1}}, "unknown", {}),
        ({"01FCNDV6P870": 1}, "unknown", {"s.(a key that is not a field's name)": 1}),
    ],
)
def test_differences_from_a_schema(change: dict[str, Any], kind: str, expected: dict[str, int]) -> None:
    found = differences("s", [RECORD | change], SCHEMA)
    assert getattr(found, kind) == expected
    assert sum(map(len, (found.wrong_types, found.unknown))) == len(expected)


def _result(result: Result, _: Account) -> Result:
    return result


def report(*outcomes: Outcome) -> Report:
    results = []
    for outcome in outcomes:
        result = Result(outcome, ("a detail",))
        results.append((Assumption(f"pages.{outcome.name.lower()}", "Pages", "text", partial(_result, result)), result))
    streams = (StreamResult("incidents", 3, ""), StreamResult("alerts", None, "not found (404)"))
    return Report(tuple(results), streams, {"alerts.view": ["alerts"]}, requests=5)


def test_nothing_contradicts_unless_an_assumption_does_not_hold() -> None:
    assert report(Outcome.HOLDS, Outcome.NOT_TRIED).holds
    assert not report(Outcome.HOLDS, Outcome.FAILS).holds


def test_the_formats_have_the_same_content() -> None:
    everything = report(*Outcome)
    document = json.loads(everything.to_json())
    assert document["streams"][1] == {"name": "alerts", "records": None, "problem": "not found (404)"}
    for text in (everything.to_markdown(), everything.to_table(120)):
        assert "1 hold, 1 do not hold, 1 could not be tried. 1 of 2 streams read, 5 requests." in text
        for item in document["assumptions"]:
            assert item["name"] in text
            assert item["result"] in text
        assert "not found (404)" in text


def test_a_kept_answer_does_not_hold_the_memory_that_another_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page([{"id": "1"}], None, memory=PageMemory(MemoryBudget(lambda: False)))
    monkeypatch.setattr(Severities, "read_page", lambda *_: page)
    config = Config.parse({"api_key": "inc_5ecret_key_0123456789"})
    client = make_client(config, kind=VerifyClient)
    account = Account(client, make_streams(config, client), ["severities"], num_workers=1)
    account.read_first_pages(["severities"])
    answer = account.records("severities")
    assert answer.page
    assert answer.page.memory is None
