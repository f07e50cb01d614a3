"""Partitions of long lists: no record is lost or read twice between two of them, for any order of the list."""

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
from source_incident.streams.kinds import IncrementalStream
from source_incident.streams.on_call import Escalations
from source_incident.streams.page import Page, Slice
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
    """A list in some order, with the filters and pages of the API (docs/api.md, filters).

    Args:
        days_at: the time zone in which it compares dates; None: it compares timestamps.
    """

    def __init__(self, records: list[dict[str, Any]], days_at: timezone | None) -> None:
        self.records = records
        self.requests = 0
        self.ends: set[str] = set()
        self._days_at = days_at

    def page(self, listed: IncrementalStream, slice_: Slice, after: str | None) -> Page:
        self.requests += 1
        filtered = self._filtered(listed.slice_params(slice_))
        # A cursor that is not in the filtered list is outside the API's contract: index() raises.
        first = [record["id"] for record in filtered].index(after) + 1 if after else 0
        found = filtered[first : first + PAGE]
        return Page(found, found[-1]["id"] if found and first + PAGE < len(filtered) else None)

    def _filtered(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [record for record in self.records if self._passes(record, params)]

    def _passes(self, record: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
        created = datetime.fromisoformat(record["created_at"])
        if (start := params.get("created_at[gte]")) is not None:
            return self._comparable(created) >= self._parse(start)
        if (end := params.get("created_at[lte]")) is not None:
            self.ends.add(end)
            return self._comparable(created) <= self._parse(end)
        if between := params.get("created_at[date_range]"):
            start, end = (self._parse(bound) for bound in between.split("~"))
            return (
                start <= self._comparable(created) <= end if self._days_at else start <= self._comparable(created) < end
            )
        return True

    def _comparable(self, moment: datetime) -> Any:
        return moment.astimezone(self._days_at).date() if self._days_at else moment

    def _parse(self, bound: str) -> Any:
        return datetime.fromisoformat(bound).date() if self._days_at else datetime.fromisoformat(bound)


def read(
    api: Api,
    listed: IncrementalStream,
    rest: tuple[Partition, ...],
    choose: Callable[[int], int],
    max_sequences: int = 10,
    stop_after: int = 10_000,
) -> tuple[list[str], tuple[Partition, ...]]:
    """Read the rest of a list, its sequences in any order.

    Returns:
        The ids that were emitted, and the unread rest.
    """
    partitions = PartitionedList(listed, rest, {}, max_sequences)
    positions: dict[PageSequence, str | None] = {sequence: sequence.after for sequence in partitions.sequences}
    emitted: list[str] = []
    for _ in range(stop_after):
        if not partitions.sequences:
            break
        sequence = partitions.sequences[choose(len(partitions.sequences))]
        page = api.page(listed, sequence.slice, positions[sequence])
        try:
            new = partitions.page_read(sequence, page)
        except NotDivisibleError:
            rest = (Partition(),)
            partitions = PartitionedList(listed, rest, {}, 1)
            positions = dict.fromkeys(partitions.sequences)
            continue
        if new:
            positions[new] = new.after
        positions[sequence] = page.after
        emitted += [record["id"] for record in page.records]
        rest = partitions.page_emitted(sequence, page)
    return emitted, rest


def check_emitted(api: Api, emitted: list[str]) -> None:
    """Check that every record came once, or twice where it was created at a moment at which the list was divided."""
    counts = Counter(emitted)
    assert counts.keys() == {record["id"] for record in api.records}
    # Two parts share that moment, so that no precision of the API's filter can lose a record. Dates are not shared.
    shared = set() if api._days_at else api.ends
    assert {record["created_at"] for record in api.records if counts[record["id"]] > 1} <= shared
    assert max(counts.values()) <= 2


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[dict[str, Any]], str]:
    """A list and its order. Many of its records have the same second or millisecond of creation."""
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
    monkeypatch.setattr(module, "PAGES_PER_DIVISION", 2)
    monkeypatch.setattr(module, "MIN_PAGES_LEFT", 1e-9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lists(), st.sampled_from([None, -11, 0, 13]), st.integers(0, 40), st.lists(st.integers(0, 9), min_size=1), st.data()
)
def test_reads_every_record_and_in_an_ordered_list_only_those_at_a_division_twice(
    listed: tuple[list[dict[str, Any]], str], zone: int | None, stop_after: int, turns: list[int], data: st.DataObject
) -> None:
    records, order = listed
    api = Api(records, None if zone is None else timezone(timedelta(hours=zone)))
    turn = iter(turns * 200)
    emitted, rest = read(
        api,
        ESCALATIONS if api._days_at else ALERTS,
        (Partition(),),
        lambda count: next(turn) % count,
        stop_after=stop_after,
    )
    if rest:  # an interrupted list is continued, with any number of workers
        max_sequences = data.draw(st.sampled_from([1, 2, 10]))
        more, rest = read(api, ESCALATIONS if api._days_at else ALERTS, rest, lambda count: 0, max_sequences)
        emitted += more
    assert rest == ()
    if order == "none":
        assert set(emitted) == {record["id"] for record in records}
    else:
        check_emitted(api, emitted)


def ordered(count: int, step: timedelta) -> list[dict[str, Any]]:
    return [{"id": f"{number:05}", "created_at": format_timestamp(START - number * step)} for number in range(count)]


def test_does_not_divide_a_short_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    api = Api(ordered(PAGE * (module.PAGES_PER_DIVISION - 1), timedelta(minutes=1)), None)
    emitted, _ = read(api, ALERTS, (Partition(),), lambda count: count - 1)
    assert len(emitted) == len(api.records)
    assert api.requests == module.PAGES_PER_DIVISION - 1


@pytest.mark.parametrize("pages", [24, 40, 100, 400])
@pytest.mark.parametrize("reverse", [False, True])
def test_divisions_cost_at_most_a_twentieth_more_requests(
    monkeypatch: pytest.MonkeyPatch, pages: int, reverse: bool
) -> None:
    monkeypatch.undo()
    records = ordered(pages * PAGE, timedelta(minutes=1))
    api = Api(records[::-1] if reverse else records, None)
    turn = iter(range(10_000))
    emitted, _ = read(api, ALERTS, (Partition(),), lambda count: next(turn) % count)
    check_emitted(api, emitted)
    assert api.requests <= pages * 1.05
    assert api.requests > pages or pages < 40


class ReversedWhenFiltered(Api):
    """Reverses a list that is filtered by creation time."""

    def _filtered(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = super()._filtered(params)
        return found[::-1] if any(name.startswith("created_at") for name in params) else found


class Undated(Api):
    """Omits records without a creation time from a list that is filtered by it."""

    def _passes(self, record: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
        if record["created_at"] is None:
            return not any(name.startswith("created_at") for name in params)
        return super()._passes(record, params)


def test_reads_a_list_as_a_whole_if_the_filter_changes_its_order() -> None:
    records = ordered(900, timedelta(hours=1))
    emitted, rest = read(ReversedWhenFiltered(records, None), ALERTS, (Partition(),), lambda count: 0)
    assert rest == ()
    assert set(emitted) == {record["id"] for record in records}


@pytest.mark.parametrize("days_at", [None, UTC])
@pytest.mark.parametrize("created", ["0001-01-01T00:00:00Z", "1960-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
@pytest.mark.parametrize("reverse", [False, True])
def test_reads_records_with_a_creation_time_before_the_earliest_moment(
    days_at: timezone | None, created: str, reverse: bool
) -> None:
    records = ordered(900, timedelta(hours=1))
    for number in (-1, -2):
        records[number]["created_at"] = created
    api = Api(records[::-1] if reverse else records, days_at)
    emitted, _ = read(api, ESCALATIONS if days_at else ALERTS, (Partition(),), lambda count: 0)
    check_emitted(api, emitted)


def test_does_not_divide_a_list_with_a_record_without_a_creation_time_on_its_first_pages() -> None:
    records = ordered(900, timedelta(hours=1))
    records[1]["created_at"] = None
    api = Undated(records, None)
    emitted, _ = read(api, ALERTS, (Partition(),), lambda count: 0)
    assert len(emitted) == len(records)
    assert api.requests == len(records) / PAGE


def test_reads_no_more_sequences_at_once_than_there_are_workers() -> None:
    api = Api(ordered(300, timedelta(hours=1)), None)
    most = 0

    def turn(count: int) -> int:
        nonlocal most
        most = max(most, count)
        return count - 1

    read(api, ALERTS, (Partition(),), turn, max_sequences=3)
    assert most == 3


def page_of(*created: datetime, after: str | None = "next") -> Page:
    return Page([{"id": str(moment), "created_at": format_timestamp(moment)} for moment in created], after)


def observed(*pages: Page, partition: Partition | None = None) -> PageSequence:
    sequence = PageSequence(partition or Partition(), {})
    for page in pages:
        sequence.observe(page, "created_at")
    return sequence


@pytest.mark.parametrize("partition", [Partition(), Partition(start=START - timedelta(days=9))])
def test_two_pages_of_records_that_were_created_at_one_instant_have_a_finite_estimate(partition: Partition) -> None:
    sequence = observed(page_of(START, START), page_of(START, START), partition=partition)
    assert 0 <= sequence.pages_left() < float("inf")


def test_an_oldest_first_list_that_is_divided_twice_has_parts_that_adjoin() -> None:
    end = START + timedelta(days=64)
    first = observed(page_of(START), page_of(START + timedelta(days=1)), partition=Partition(end=end))
    second = first.divide(by_date=False)
    assert second is not None
    third = first.divide(by_date=False)
    assert third is not None
    spans = [(part.start, part.end) for part in (first, third, second)]
    assert spans[0][1] == spans[1][0]
    assert spans[1][1] == spans[2][0]
    assert spans[2][1] == end
    assert spans[0][0] is None


def test_a_newest_first_list_that_is_divided_twice_has_parts_that_adjoin() -> None:
    start = START - timedelta(days=64)
    first = observed(page_of(START), page_of(START - timedelta(days=1)), partition=Partition(start=start))
    second = first.divide(by_date=False)
    assert second is not None
    third = first.divide(by_date=False)
    assert third is not None
    spans = [(part.start, part.end) for part in (second, third, first)]
    assert spans[0][0] == start
    assert spans[0][1] == spans[1][0]
    assert spans[1][1] == spans[2][0]
    assert spans[2][1] is None


@pytest.mark.parametrize("reverse", [False, True])
def test_a_part_with_a_start_is_divided_again(reverse: bool) -> None:
    """A list is read by as many sequences as there are workers, so parts are divided too."""
    records = ordered(1200, timedelta(hours=1))
    api = Api(records[::-1] if reverse else records, None)
    partitions = PartitionedList(ALERTS, (Partition(),), {}, 8)
    positions: dict[PageSequence, str | None] = dict.fromkeys(partitions.sequences)
    divided: list[PageSequence] = []
    for turn in range(200):
        if not partitions.sequences:
            break
        sequence = partitions.sequences[turn % len(partitions.sequences)]
        had_start = sequence.start is not None
        page = api.page(ALERTS, sequence.slice, positions[sequence])
        if new := partitions.page_read(sequence, page):
            positions[new] = None
            if had_start:
                divided.append(sequence)
        positions[sequence] = page.after
        partitions.page_emitted(sequence, page)
    assert divided
