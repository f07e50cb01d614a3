"""Columns that only the answer for a single record has."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from source_incident.api import ApiError
from unit_tests.sync.account import Account, Destination, forbidden, not_found, unavailable

ROUTES = "/v3/alert_routes"
COLUMNS = ("condition_groups", "version")


def routes(account: Account, *columns: str, count: int = 3, **settings: Any) -> Destination:
    """Alert routes, whose details have their number as `version`."""
    for number in range(count):
        account.add(ROUTES, f"r{number}")
    answer_details(account, {})
    return Destination(account, {"alert_routes": frozenset(columns)}, settings=settings)


def answer_details(account: Account, others: Mapping[str, ApiError | Mapping[str, Any]]) -> None:
    """Answer with details, except for some routes."""

    def fault(path: str, params: Mapping[str, Any]) -> ApiError | Mapping[str, Any] | None:
        id_ = path.removeprefix(f"{ROUTES}/")
        if id_ == path:
            return None
        return others.get(id_) or {"alert_route": {"id": id_, "condition_groups": [], "version": int(id_[1:])}}

    account.fault = fault


def detail_requests(account: Account) -> list[str]:
    return sorted(path for path, _ in account.requests if path != ROUTES)


@pytest.mark.parametrize("workers", [1, 4])
def test_the_selected_columns_cost_one_request_per_record(account: Account, workers: int) -> None:
    run = routes(account, *COLUMNS, num_workers=workers).sync()
    assert detail_requests(account) == [f"{ROUTES}/r{number}" for number in range(3)]
    assert run.record("alert_routes", "r2")["version"] == 2
    assert run.record("alert_routes", "r2")["condition_groups"] == []
    assert "escalation_config" not in run.record("alert_routes", "r2")
    assert run.version("alert_routes") is not None


def test_no_detail_is_requested_if_none_of_its_columns_is_selected(account: Account) -> None:
    run = routes(account).sync()
    assert sorted(run.ids("alert_routes")) == ["r0", "r1", "r2"]
    assert detail_requests(account) == []


def test_a_record_that_was_deleted_in_between_is_emitted_without_the_columns(account: Account) -> None:
    to = routes(account, *COLUMNS)
    answer_details(account, {"r1": not_found()})
    run = to.sync()
    assert run.is_finished("alert_routes")
    assert run.record("alert_routes", "r1")["version"] is None
    assert run.record("alert_routes", "r2")["version"] == 2


@pytest.mark.parametrize("failure", [unavailable(), {"another": {}}])
def test_a_record_whose_detail_fails_is_skipped_and_read_by_the_next_sync(account: Account, failure: Any) -> None:
    to = routes(account, *COLUMNS)
    answer_details(account, {"r1": failure})
    run = to.sync()
    assert run.failed == {"alert_routes"}
    assert to.ids("alert_routes") == {"r0", "r2"}
    answer_details(account, {})
    to.sync()
    assert to.ids("alert_routes") == {"r0", "r1", "r2"}


def test_columns_that_the_key_may_not_read_stay_empty_with_one_warning(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    to = routes(account, *COLUMNS)
    answer_details(account, {f"r{number}": forbidden() for number in range(3)})
    with caplog.at_level(logging.WARNING):
        run = to.sync()
    assert run.is_finished("alert_routes")
    assert {record.get("version") for record, _ in to.rows["alert_routes"].values()} == {None}
    (line,) = caplog.messages
    assert "condition_groups, version" in line
