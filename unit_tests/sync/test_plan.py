"""Plans: the fewest scans that serve every consumer, and which records each consumer gets."""

import pytest

from source_incident.sync.plan import ListScan, StreamNode, consumers_of_records, plan_scans, plan_trees
from source_incident.sync.state import StreamState
from unit_tests.sync.account import START, Account, destination
from unit_tests.sync.events import make_client, make_streams, select
from unit_tests.sync.test_full_reads import INCIDENTS

MODES = ("standard", "retrospective", "test", "tutorial", "stream")


def scans(name: str, modes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The modes of each scan that a first sync of a stream plans."""
    client, config = make_client(incident_modes=list(modes))
    streams = make_streams(client, config)
    selected = select(streams[name])
    state = StreamState(name, "updated_at", modes, None)
    state.begin(START, 7, None)
    object.__setattr__(selected, "state", state)
    (tree,) = plan_trees(streams, [selected])
    return [scan.modes for scan in plan_scans(tree, config)]


def test_incidents_of_a_mode_that_the_api_may_refuse_have_a_scan_of_their_own() -> None:
    assert scans("incidents", MODES) == [("standard", "retrospective", "test", "tutorial"), ("stream",)]


@pytest.mark.parametrize("name", ["actions", "follow_ups"])
def test_a_list_that_takes_one_mode_per_request_has_one_scan_for_both_default_modes(name: str) -> None:
    assert scans(name, MODES) == [("standard", "retrospective"), ("test",), ("tutorial",), ("stream",)]
    assert scans(name, ("standard", "retrospective")) == [("standard", "retrospective")]
    assert scans(name, ("standard",)) == [("standard",)]


def test_modes_with_different_bookmarks_have_a_scan_for_each_filter(account: Account) -> None:
    to = destination(account, "actions", incident_modes=["standard", "retrospective", "test"], full_read_days=0)
    to.states["actions"] = {
        "modes": {
            "standard,retrospective": {"updated_at": "2026-02-20T00:00:00Z"},
            "test": {"updated_at": "2026-02-25T00:00:00Z"},
        }
    }
    to.sync()
    assert [(params.get("incident_mode"), params["updated_at[gte]"]) for _, params in account.requests] == [
        (None, "2026-02-19T23:55:00.000Z"),
        ("test", "2026-02-24T23:55:00.000Z"),
    ]


def test_a_record_of_a_mode_that_nobody_asked_for_is_emitted(account: Account) -> None:
    """A new mode of the API is better read than lost."""
    account.add(INCIDENTS, "known")
    incidents = [*account.lists[INCIDENTS], {**account.lists[INCIDENTS][0], "id": "new", "mode": "drill"}]
    account.fault = lambda path, params: {"incidents": incidents, "pagination_meta": {"after": None}}
    to = destination(account, "incidents", full_read_days=0)
    assert set(to.sync().ids("incidents")) == {"known", "new"}
    account.wait(hours=1)
    for incident in incidents:
        incident["updated_at"] = "2026-03-01T12:59:00Z"
    assert set(to.sync().ids("incidents")) == {"known", "new"}


def test_the_record_of_a_mode_that_nobody_asked_for_has_the_lowest_bound_of_the_consumer() -> None:
    client, config = make_client()
    streams = make_streams(client, config)
    tree = StreamNode(streams["incidents"], select(streams["incidents"]))
    scan = ListScan(("standard", "test"), lower_bounds={"incidents": {"standard": START, "test": START.replace(day=5)}})
    records = [
        {"id": "1", "mode": "drill", "updated_at": "2026-03-01T12:00:00Z"},
        {"id": "2", "mode": "drill", "updated_at": "2026-03-01T11:59:59Z"},
    ]
    assert consumers_of_records(tree, scan, records) == [frozenset({"incidents"}), frozenset()]
