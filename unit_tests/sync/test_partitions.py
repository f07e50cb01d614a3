"""Long lists in parts: nothing is lost or comes twice at a seam, however the API orders the list."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_incident.api import Client
from source_incident.config import Config
from source_incident.streams.alerts import Alerts
from source_incident.streams.base import IncrementalStream, Page, Slice
from source_incident.streams.on_call import Escalations
from source_incident.sync import partitions as module
from source_incident.sync.partitions import NotDivisibleError, PageSequence, PartitionedList
from source_incident.sync.state import Partition
from source_incident.timestamps import format_timestamp

START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 3


def stream(kind: type[IncrementalStream]) -> IncrementalStream:
    config = Config.parse({"api_key": "k" * 20})
    return kind(Client(endpoint=config.endpoint, api_key=config.api_key, user_agent="test"), config)


ALERTS, ESCALATIONS = stream(Alerts), stream(Escalations)


class Api:
    """A list in some order, filtered and paged as the API does it (api.md, filters).

    Args:
        days_at: compares by day, in this time zone; None: by moment.
    """

    def __init__(self, records: list[dict[str, Any]], days_at: timezone | None) -> None:
        self.records = records
        self.requests = 0
        self._days_at = days_at

    def page(self, listed: IncrementalStream, slice_: Slice, after: str | None) -> Page:
        self.requests += 1
        given = self._listed(listed.slice_params(slice_))
        # The page after a record that the list does not have is no part of the API's contract.
        first = [record["id"] for record in given].index(after) + 1 if after else 0
        found = given[first : first + PAGE]
        return Page(found, found[-1]["id"] if found and first + PAGE < len(given) else None)

    def _listed(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [record for record in self.records if self._passes(record, params)]

    def _passes(self, record: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
        created = datetime.fromisoformat(record["created_at"])
        if (start := params.get("created_at[gte]")) is not None:
            return self._of(created) >= self._given(start)
        if (end := params.get("created_at[lte]")) is not None:
            return self._of(created) <= self._given(end)
        if between := params.get("created_at[date_range]"):
            start, end = (self._given(bound) for bound in between.split("~"))
            return start <= self._of(created) <= end if self._days_at else start <= self._of(created) < end
        return True

    def _of(self, moment: datetime) -> Any:
        return moment.astimezone(self._days_at).date() if self._days_at else moment

    def _given(self, bound: str) -> Any:
        return datetime.fromisoformat(bound).date() if self._days_at else datetime.fromisoformat(bound)


def read(
    api: Api,
    listed: IncrementalStream,
    left: tuple[Partition, ...],
    choose: Callable[[int], int],
    most: int = 10,
    stop_after: int = 10_000,
) -> tuple[list[str], tuple[Partition, ...]]:
    """Reads what is left, the chains in any order.

    Returns:
        The ids that were emitted, and what was left then.
    """
    parts = PartitionedList(listed, left, {}, most)
    positions: dict[PageSequence, str | None] = {chain: chain.after for chain in parts.chains}
    emitted: list[str] = []
    for _ in range(stop_after):
        if not parts.chains:
            break
        chain = parts.chains[choose(len(parts.chains))]
        page = api.page(listed, chain.slice, positions[chain])
        try:
            new = parts.read(chain, page)
        except NotDivisibleError:
            left = (Partition(),)
            parts = PartitionedList(listed, left, {}, 1)
            positions = dict.fromkeys(parts.chains)
            continue
        if new:
            positions[new] = new.after
        positions[chain] = page.after
        emitted += [record["id"] for record in page.records]
        left = parts.emitted(chain, page)
    return emitted, left


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[dict[str, Any]], str]:
    """A list whose records often share their second, or their millisecond, and the order it is in."""
    step = draw(st.sampled_from([timedelta(milliseconds=1), timedelta(seconds=1), timedelta(hours=7)]))
    offsets = draw(st.lists(st.integers(0, 60), min_size=1, max_size=90))
    records = [
        {"id": f"{number:03}", "created_at": format_timestamp(START + offset * step)}
        for number, offset in enumerate(sorted(offsets))
    ]
    order = draw(st.sampled_from(["oldest first", "newest first", "none"]))
    if order == "newest first":
        records.reverse()
    elif order == "none":
        records = draw(st.permutations(records))
    return records, order


@pytest.fixture(autouse=True)
def divide_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGES_PER_PART", 2)
    monkeypatch.setattr(module, "FEWEST_PAGES", 1e-9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lists(), st.sampled_from([None, -11, 0, 13]), st.integers(0, 40), st.lists(st.integers(0, 9), min_size=1), st.data()
)
def test_every_record_comes_and_in_an_ordered_list_just_once(
    listed: tuple[list[dict[str, Any]], str], zone: int | None, stop: int, turns: list[int], data: st.DataObject
) -> None:
    records, order = listed
    api = Api(records, None if zone is None else timezone(timedelta(hours=zone)))
    turn = iter(turns * 200)
    emitted, left = read(
        api, ESCALATIONS if api._days_at else ALERTS, (Partition(),), lambda count: next(turn) % count, stop_after=stop
    )
    if left:  # what was stopped goes on, with any number of workers
        most = data.draw(st.sampled_from([1, 2, 10]))
        more, left = read(api, ESCALATIONS if api._days_at else ALERTS, left, lambda count: 0, most)
        emitted += more
    assert left == ()
    counts = Counter(emitted)
    assert counts.keys() == {record["id"] for record in records}
    if order != "none":
        assert max(counts.values()) == 1


def ordered(count: int, step: timedelta) -> list[dict[str, Any]]:
    return [{"id": f"{number:05}", "created_at": format_timestamp(START - number * step)} for number in range(count)]


def test_a_short_list_is_not_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    api = Api(ordered(PAGE * (module.PAGES_PER_PART - 1), timedelta(minutes=1)), None)
    emitted, _ = read(api, ALERTS, (Partition(),), lambda count: count - 1)
    assert len(emitted) == len(api.records)
    assert api.requests == module.PAGES_PER_PART - 1


@pytest.mark.parametrize("pages", [24, 40, 100, 400])
@pytest.mark.parametrize("reverse", [False, True])
def test_dividing_costs_at_most_a_twentieth_more_requests(
    monkeypatch: pytest.MonkeyPatch, pages: int, reverse: bool
) -> None:
    monkeypatch.undo()
    records = ordered(pages * PAGE, timedelta(minutes=1))
    api = Api(records[::-1] if reverse else records, None)
    turn = iter(range(10_000))
    emitted, _ = read(api, ALERTS, (Partition(),), lambda count: next(turn) % count)
    assert sorted(emitted) == sorted(record["id"] for record in records)
    assert api.requests <= pages * 1.05
    assert api.requests > pages or pages < 40


class OtherWay(Api):
    """Turns a list round that is filtered by creation."""

    def _listed(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = super()._listed(params)
        return found[::-1] if any(name.startswith("created_at") for name in params) else found


class Undated(Api):
    """Leaves records without a time of creation out of a list that is filtered by it."""

    def _passes(self, record: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
        if record["created_at"] is None:
            return not any(name.startswith("created_at") for name in params)
        return super()._passes(record, params)


def test_an_api_that_orders_a_filtered_list_otherwise_gets_it_read_whole() -> None:
    records = ordered(900, timedelta(hours=1))
    emitted, left = read(OtherWay(records, None), ALERTS, (Partition(),), lambda count: 0)
    assert left == ()
    assert set(emitted) == {record["id"] for record in records}


@pytest.mark.parametrize("days_at", [None, UTC])
@pytest.mark.parametrize("created", ["0001-01-01T00:00:00Z", "1960-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
@pytest.mark.parametrize("reverse", [False, True])
def test_times_before_anything_are_read_too(days_at: timezone | None, created: str, reverse: bool) -> None:
    records = ordered(900, timedelta(hours=1))
    for number in (-1, -2):
        records[number]["created_at"] = created
    api = Api(records[::-1] if reverse else records, days_at)
    emitted, _ = read(api, ESCALATIONS if days_at else ALERTS, (Partition(),), lambda count: 0)
    assert sorted(emitted) == sorted(record["id"] for record in records)


def test_a_list_with_a_record_without_a_time_on_the_first_pages_is_not_divided() -> None:
    records = ordered(900, timedelta(hours=1))
    records[1]["created_at"] = None
    api = Undated(records, None)
    emitted, _ = read(api, ALERTS, (Partition(),), lambda count: 0)
    assert len(emitted) == len(records)
    assert api.requests == len(records) / PAGE


def test_no_more_parts_are_read_at_once_than_there_are_workers() -> None:
    api = Api(ordered(300, timedelta(hours=1)), None)
    most = 0

    def turn(count: int) -> int:
        nonlocal most
        most = max(most, count)
        return count - 1

    read(api, ALERTS, (Partition(),), turn, most=3)
    assert most == 3
