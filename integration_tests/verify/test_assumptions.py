"""Every assumption holds for the sandbox, and --verify notices when one does not."""

from __future__ import annotations

import pytest

from integration_tests.support.sandboxes import KEY, SMALL, StartSandbox
from integration_tests.verify.breaks import BREAKS, Break
from integration_tests.verify.proxy import Answer, Proxy
from sandbox import Sandbox
from source_incident.verify import Outcome, Report, verify
from source_incident.verify.assumptions import ASSUMPTIONS


def run(url: str, streams: tuple[str, ...] | None = None) -> Report:
    return verify({"api_key": KEY, "endpoint": url, "max_retries": 0}, streams)


def outcomes(report: Report, outcome: Outcome) -> dict[str, tuple[str, ...]]:
    """The details of each assumption with an outcome."""
    return {item.name: result.details for item, result in report.results if result.outcome == outcome}


def details(report: Report, name: str) -> str:
    return "\n".join(next(result.details for item, result in report.results if item.name == name))


def test_everything_that_can_be_tried_holds_for_the_sandbox() -> None:
    with Sandbox(key=KEY) as sandbox:
        report = run(sandbox.url)
        log = sandbox.requests()["log"]
    assert outcomes(report, Outcome.FAILS) == {}
    # The sandbox's key has every scope.
    assert set(outcomes(report, Outcome.NOT_TRIED)) == {"errors.scopes"}
    assert len(log) == report.requests <= 80
    assert not any("heartbeat" in entry["path"] for entry in log)
    assert not any(entry.get("unknown") for entry in log)


def test_every_assumption_has_a_test() -> None:
    assert BREAKS.keys() == {item.name for item in ASSUMPTIONS}


@pytest.mark.parametrize("name", BREAKS)
def test_an_assumption_that_does_not_hold_is_reported(name: str, new_sandbox: StartSandbox) -> None:
    broken = BREAKS[name]
    report = _run_broken(broken, new_sandbox)
    failures = outcomes(report, Outcome.FAILS)
    assert failures.keys() == {name, *broken.also}
    assert broken.details in "\n".join(failures[name])
    assert not report.holds


def _run_broken(broken: Break, new_sandbox: StartSandbox) -> Report:
    sandbox = new_sandbox(**broken.options)
    with Proxy(sandbox.url, broken.request, broken.answer) as proxy:
        return run(proxy.url, broken.streams)


def test_a_filter_that_loses_records_is_reported(new_sandbox: StartSandbox) -> None:
    def lose(answer: Answer) -> None:
        if "updated_at[gte]" in answer.query:
            del answer.records[0]

    report = _run_broken(Break(("actions",), answer=lose), new_sandbox)
    assert list(outcomes(report, Outcome.FAILS)) == ["filters.since.actions"]
    assert " expected records are missing" in details(report, "filters.since.actions")


@pytest.mark.parametrize("answer", [403, 404])
def test_streams_that_cannot_be_read_are_not_contradictions(answer: int, new_sandbox: StartSandbox) -> None:
    sandbox = new_sandbox(fault=[f"{answer}:scope=schedules.view,path=/v2/*"])
    report = run(sandbox.url)
    assert report.holds
    assert "could not be read" in str(report.streams)
    if answer == 403:
        assert report.missing_scopes["schedules.view"][0] == "incidents"
        assert "schedules.view is missing: " in details(report, "errors.scopes")


def test_a_list_that_ends_with_an_empty_page_is_reported_as_a_fact(new_sandbox: StartSandbox) -> None:
    sandbox = new_sandbox()
    report = run(sandbox.url, ("schedules", "teams"))
    assert report.holds
    assert "2 with after, 0 without" in details(report, "pages.last")
    assert "schedules: an empty page followed" in details(report, "pages.last")


def test_an_empty_account_contradicts_nothing(new_sandbox: StartSandbox) -> None:
    empty = {**dict.fromkeys(SMALL, 0), "custom_fields": 0}
    assert outcomes(run(new_sandbox(**empty).url), Outcome.FAILS) == {}


def test_a_strange_answer_does_not_end_the_run(new_sandbox: StartSandbox) -> None:
    sandbox = new_sandbox()
    sandbox.config(fault=["shape:as=null_record,path=/v2/*", "shape:as=list,path=/v3/*"])
    report = run(sandbox.url)
    assert "pages.shape" in outcomes(report, Outcome.FAILS)
    assert "please report it" not in report.to_json()
