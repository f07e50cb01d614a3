"""Nested columns of incidents: whole lists and requests per incident, in every incident mode."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from source_incident.api import ForbiddenError
from unit_tests.sync.account import Account, Destination, forbidden
from unit_tests.sync.test_full_reads import ATTACHMENTS, INCIDENTS

ACTIONS, UPDATES = "/v3/actions", "/v2/incident_updates"
MODES = ["standard", "retrospective", "test", "tutorial", "stream"]


def columns(account: Account, *names: str, **settings: Any) -> Destination:
    return Destination(account, {"incidents": frozenset(names)}, settings={"full_read_days": 0, **settings})


def add_incident(account: Account, id_: str, mode: str, actions: int = 1) -> None:
    account.add(INCIDENTS, id_, mode=mode, category="closed")
    for number in range(actions):
        account.add(ACTIONS, f"{id_}-{number}", incident_id=id_, mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_changed_incident_of_any_mode_gets_its_actions(account: Account, mode: str) -> None:
    """The API returns the actions of the modes test, tutorial and stream only where the request names the mode."""
    add_incident(account, "old", "standard")
    to = columns(account, "actions", incident_modes=["standard", "retrospective", mode])
    account.wait(hours=1)
    to.sync()
    account.wait(days=1)
    add_incident(account, "changed", mode, actions=2)
    account.requests.clear()
    account.wait(hours=1)
    run = to.sync()
    assert [action["id"] for action in run.record("incidents", "changed")["actions"]] == ["changed-0", "changed-1"]
    assert {params.get("incident_id") for path, params in account.requests if path == ACTIONS} == {"changed"}


def test_an_incident_of_any_mode_gets_all_its_actions_from_whole_lists(account: Account) -> None:
    """The list of one mode ends long before that of another one."""
    add_incident(account, "s", "standard", actions=1)
    for number in range(4):
        add_incident(account, f"t{number}", "test", actions=6)
    account.wait(hours=1)

    def slow(path: str, params: Mapping[str, Any]) -> None:
        if params.get("incident_mode") == "test":
            time.sleep(0.02)

    account.fault = slow
    to = columns(account, "actions", incident_modes=["standard", "test"], num_workers=4)
    run = to.sync()
    assert len(run.record("incidents", "s")["actions"]) == 1
    for number in range(4):
        assert len(run.record("incidents", f"t{number}")["actions"]) == 6
    assert not [params for path, params in account.requests if path == ACTIONS and "incident_id" in params]


def test_an_incident_without_nested_records_has_null(account: Account) -> None:
    add_incident(account, "i", "standard", actions=0)
    run = columns(account, "actions", "updates", "attachments").sync()
    record = run.record("incidents", "i")
    assert (record["actions"], record["updates"], record["attachments"]) == (None, None, None)


def test_the_length_of_a_whole_list_is_in_the_state_and_decides_how_the_next_sync_reads(account: Account) -> None:
    for number in range(30):
        account.add(INCIDENTS, f"i{number}", category="closed")
        account.add(UPDATES, f"u{number}", incident_id=f"i{number}")
    account.wait(hours=1)
    to = columns(account, "updates")
    to.sync()
    assert to.states["incidents"]["nested_pages"] == {"updates": 15}
    account.wait(days=3)
    to.sync()
    account.wait(days=1)
    for number in range(12):
        account.add(INCIDENTS, f"n{number}", category="closed")
    account.wait(hours=1)
    account.requests.clear()
    to.sync()
    # Twelve requests cost less than fifteen pages.
    assert all("incident_id" in params for path, params in account.requests if path == UPDATES)
    account.wait(days=3)
    to.sync()
    account.wait(days=1)
    for number in range(20):
        account.add(INCIDENTS, f"m{number}", category="closed")
    account.wait(hours=1)
    account.requests.clear()
    to.sync()
    assert not [params for path, params in account.requests if path == UPDATES and "incident_id" in params]


def test_a_column_that_is_refused_and_then_answered_fails_the_stream(account: Account) -> None:
    """Both requests are in flight when the first one is refused."""
    for number in range(2):
        account.add(INCIDENTS, f"i{number}", category="closed")
        account.add(ATTACHMENTS, f"a{number}", incident_id=f"i{number}")
    asked, refused = threading.Event(), threading.Event()

    def fault(path: str, params: Mapping[str, Any]) -> ForbiddenError | None:
        match params.get("incident_id"):
            case "i0":
                asked.wait(10)
                refused.set()
                return forbidden(path)
            case "i1":
                asked.set()
                refused.wait(10)
                time.sleep(0.2)
        return None

    account.fault = fault
    to = columns(account, "attachments", num_workers=4)
    run = to.sync()
    assert run.failed == {"incidents"}
    assert to.ids("incidents") == set()


def test_a_whole_list_that_is_refused_after_its_first_page_fails_the_stream(account: Account) -> None:
    for number in range(6):
        account.add(INCIDENTS, f"i{number}", category="closed")
        account.add(UPDATES, f"u{number}", incident_id=f"i{number}")
    account.fault = lambda path, params: forbidden(path) if path == UPDATES and params.get("after") else None
    assert columns(account, "updates").sync().failed == {"incidents"}


def test_columns_come_from_the_pages_of_a_stream_that_is_read_completely_anyway(account: Account) -> None:
    for number in range(6):
        account.add(INCIDENTS, f"i{number}", category="closed")
        account.add(UPDATES, f"u{number}", incident_id=f"i{number}")
    to = columns(account, "updates")
    to.streams = {**to.streams, "incident_updates": frozenset()}
    run = to.sync()
    assert [path for path, _ in account.requests].count(UPDATES) == 3
    assert [update["id"] for update in run.record("incidents", "i5")["updates"]] == ["u5"]
