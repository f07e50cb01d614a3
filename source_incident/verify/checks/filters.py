"""Assumptions about filters: the API accepts them in the form that is sent, and they select the right records."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from source_incident import clock
from source_incident.config import DEFAULT_MODES
from source_incident.streams.incidents import STATUS_CATEGORIES
from source_incident.streams.kinds import IncrementalStream
from source_incident.streams.page import Record, Slice, cursor_of, value_at
from source_incident.timestamps import format_timestamp
from source_incident.verify.account import Account, Answer, middle_first
from source_incident.verify.assumption import Assumption, Evidence, NotTriedError, Result, plural

# A date of the API can start and end so much earlier or later than in UTC, because its time zone is not documented.
EAST, WEST = timedelta(hours=14), timedelta(hours=12)
DAY = timedelta(days=1)
PRECISION = timedelta(milliseconds=1)
HIDDEN_CATEGORIES = ("declined", "canceled", "merged")

# Whether a filter selects a record; None: it may or may not.
Selects = Callable[[Record], bool | None]


def compare(answer: Answer, first: Answer, selects: Selects) -> Result:
    """Compare a filtered page with the first page of the whole list.

    Args:
        answer: the filtered page.
        first: the first page of the list.
        selects: what the filter should select.
    """
    evidence = Evidence()
    name = answer.stream.name
    wrong = sum(selects(record) is False for record in answer.records)
    returned = plural(len(answer.records), "record")
    evidence.expect(not wrong, f"{name}: {wrong} of {returned} should have been left out")
    expected = [record for record in first.records if selects(record)]
    if answer.is_complete:
        missing = sum(first.key(record) not in answer.keys for record in expected)
        evidence.expect(not missing, f"{name}: {missing} of {len(expected)} expected records are missing")
    if not evidence.contradictions:
        if not any(selects(record) is False for record in first.records):
            raise NotTriedError(f"{name}: the API accepts the filter, but its first page has no record to leave out")
        if not answer.records:
            raise NotTriedError(f"{name}: the API accepts the filter, but the account has no record for it")
    return evidence.result("")


def _since(account: Account, name: str) -> Result:
    stream, first = _incremental(account, name)
    field = stream.cursor_field
    times = _times(first, field)
    middle = times[len(times) // 2]
    if not stream.filter_by_date:
        since = _milliseconds(middle)
        answer = account.read(name, {"modes": DEFAULT_MODES, "since": format_timestamp(since)})
        return compare(answer, first, _between(field, since, since, None, None))
    # A later date leaves out more, so that there is something to see.
    day = next((_day(time) for time in (middle, times[-1]) if times[0] < _day(time) - EAST), _day(times[-1]))
    answer = account.read(name, {"modes": DEFAULT_MODES, "since": f"{day:%Y-%m-%d}"})
    return compare(answer, first, _between(field, day - EAST, day + WEST, None, None))


def _created_between(account: Account, name: str) -> Result:
    answer, first, start, end = _created_span(account, name, is_open=False)
    return compare(answer, first, _span_selects(answer.stream, start, end))


def _created_until(account: Account, name: str) -> Result:
    answer, first, _, end = _created_span(account, name, is_open=True)
    if isinstance(answer.stream, IncrementalStream) and not answer.stream.filter_by_date:
        # lte includes its end, a range excludes it.
        end += PRECISION
    return compare(answer, first, _span_selects(answer.stream, None, end))


def _same_order(account: Account, name: str) -> Result:
    answer, first, _, _ = _created_span(account, name, is_open=False)
    evidence = Evidence()
    common = [first.key(record) for record in first.records if first.key(record) in answer.keys]
    filtered = [answer.key(record) for record in answer.records if answer.key(record) in common]
    if len(common) > 1:
        evidence.expect(common == filtered, f"{name}: the filter changes the order of {len(common)} records")
    return evidence.result(f"{name}: fewer than two records are on both pages")


def _created_span(account: Account, name: str, *, is_open: bool) -> tuple[Answer, Answer, datetime, datetime]:
    """Read the middle half of a first page by time of creation, as a sync reads a partition of a long list.

    Returns:
        The filtered page, the first page, and the start and the end of the span.
    """
    stream, first = _incremental(account, name)
    times = _times(first, str(stream.partition_field))
    start, end = (_milliseconds(times[len(times) * part // 4]) for part in (1, 3))
    if stream.filter_by_date:
        start, end = _day(start), _day(end) + DAY
    if start >= end:
        raise NotTriedError(f"{name}: too few records")
    answer = account.read(name, {"span": (None if is_open else start, end)})
    return answer, first, start, end


def _span_selects(stream: Any, start: datetime | None, end: datetime) -> Selects:
    by_date: bool = stream.filter_by_date
    east, west = (EAST, WEST) if by_date else (timedelta(0), timedelta(0))
    return _between(str(stream.partition_field), start and start - east, start and start + west, end - east, end + west)


def _between(
    field: str,
    earliest: datetime | None,
    surely_from: datetime | None,
    surely_before: datetime | None,
    latest: datetime | None,
) -> Selects:
    """Select by time: surely inside of the inner two moments, surely not outside of the outer two."""

    def selects(record: Record) -> bool | None:
        time = cursor_of(record, field)
        if time is None:
            return None
        if (earliest and time < earliest) or (latest and time >= latest):
            return False
        is_inside = (not surely_from or time >= surely_from) and (not surely_before or time < surely_before)
        return True if is_inside else None

    return selects


def _has_notes(account: Account) -> Result:
    first = account.records("alerts")
    answer = account.read("alerts", {"modes": DEFAULT_MODES, "filters": {"has_notes[is]": "true"}})
    evidence = Evidence()
    without = [record for record in first.records if first.key(record) not in answer.keys]
    # The same alert as that of the stream alert_notes, so that its notes are requested once.
    samples = [(record, True) for record in middle_first(answer.records)[:1]]
    if answer.is_complete:
        samples += [(record, False) for record in without[:1]]
    for record, has_notes in samples:
        notes = account.read("alert_notes", {"alert_id": record["id"]})
        group_notes = sum(bool(note.get("alert_group_id")) for note in notes.raw_records)
        count = len(notes.records) - group_notes
        if has_notes:
            evidence.expect(bool(notes.records), "alerts: an alert of the filtered list has no notes")
        else:
            evidence.expect(not count, f"alerts: an alert that the filter leaves out has {plural(count, 'note')}")
    if not evidence.contradictions and not answer.records:
        raise NotTriedError("alerts: the API accepts the filter, but no alert has notes")
    return evidence.result("alerts: the account has no records")


def _inactive_users(account: Account) -> Result:
    first = account.records("users")
    answer = account.read("users", {"filters": {"include_inactive": "false", "page_size": 250}})
    evidence = Evidence()
    wrong = sum(record.get("is_active") is False for record in answer.records)
    evidence.expect(not wrong, f"users: {plural(wrong, 'deactivated user')} without the parameter")
    inactive = sum(record.get("is_active") is False for record in first.records)
    if not inactive and not evidence.contradictions:
        raise NotTriedError("users: no deactivated user is on the first page")
    return evidence.result("")


def _ended_pauses(account: Account) -> Result:
    name = "on_call_notification_pauses"
    first = account.records(name)
    now = clock.now()
    answer = account.read(name, {"filters": {"from": format_timestamp(now)}})

    def selects(record: Record) -> bool | None:
        end = cursor_of(record, "ends_at")
        if end is None or abs(end - now) < timedelta(minutes=5):
            return None
        return end > now

    wrong = sum(selects(record) is False for record in answer.records)
    evidence = Evidence()
    evidence.expect(not wrong, f"{name}: {wrong} of {len(answer.records)} pauses ended before from")
    if not evidence.contradictions and not any(selects(record) is False for record in first.records):
        raise NotTriedError(f"{name}: no pause has ended")
    return evidence.result("")


def _open_categories(account: Account) -> Result:
    first = account.records("incidents")
    query = first.stream.open_parent_query
    (categories,) = query.values()
    answer = account.read("incidents", {"modes": DEFAULT_MODES, "filters": query})
    return compare(answer, first, lambda record: _category(record) in categories)


def _hidden_categories(account: Account) -> Result:
    first = account.records("incidents")
    slice_: Slice = {"modes": DEFAULT_MODES, "filters": {"status_category[one_of]": list(HIDDEN_CATEGORIES)}}
    answer = account.read("incidents", slice_)
    evidence = Evidence()
    wrong = sum(_category(record) not in HIDDEN_CATEGORIES for record in answer.records)
    evidence.expect(not wrong, f"incidents: {wrong} of {len(answer.records)} should have been left out")
    oldest = min(_times(first, "created_at"))
    on_first_page = [
        record
        for record in answer.records
        if first.is_complete or ((time := cursor_of(record, "created_at")) and time > oldest)
    ]
    missing = sum(first.key(record) not in first.keys for record in on_first_page)
    text = f"incidents: {missing} of {len(on_first_page)} are missing from the list of all eight categories"
    evidence.expect(not missing, text)
    if not evidence.contradictions and not on_first_page:
        raise NotTriedError(f"incidents: the API accepts the filter, but none is {', '.join(HIDDEN_CATEGORIES)}")
    return evidence.result("")


def _known_categories(account: Account) -> Result:
    statuses = account.records("incident_statuses")
    unknown = sum(record.get("category") not in STATUS_CATEGORIES for record in statuses.records)
    evidence = Evidence()
    evidence.expect(not unknown, f"incident_statuses: {unknown} of {len(statuses.records)} have another category")
    return evidence.result("")


def _category(record: Record) -> Any:
    return value_at(record, "incident_status.category")


def _modes(account: Account) -> Result:
    first = account.records("incidents")
    answer = account.read("incidents", {"modes": ("retrospective",)})
    return compare(answer, first, lambda record: record.get("mode") == "retrospective")


def _child_mode(account: Account, name: str) -> Result:
    first = account.records(name)
    answer = account.read(name, {"modes": ("test",)})
    evidence = Evidence()
    both = len(first.keys & answer.keys)
    text = f"{name}: {both} of {len(answer.records)} test records are in the list of the default modes too"
    evidence.expect(not both, text)
    return evidence.result("")


def _incremental(account: Account, name: str) -> tuple[IncrementalStream, Answer]:
    answer = account.records(name)
    if not isinstance(answer.stream, IncrementalStream):
        raise TypeError(f"{name} has no filter by time")
    return answer.stream, answer


def _times(answer: Answer, field: str) -> list[datetime]:
    """The times of a page's records, in order."""
    times = sorted(time for record in answer.records if (time := cursor_of(record, field)))
    if not times:
        raise NotTriedError(f"{answer.stream.name}: no record has a timestamp in {field}")
    return times


def _day(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _milliseconds(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _by_time(name: str, form: str) -> Assumption:
    field = "created_at" if name == "workflow_runs" else "updated_at"
    text = f"{name}: {field}[gte] takes {form} and selects the records from then on"
    return Assumption(f"filters.since.{name}", "Filters", text, partial(_since, name=name), requests=1)


ASSUMPTIONS = (
    _by_time("incidents", "a date"),
    _by_time("escalations", "a date"),
    _by_time("workflow_runs", "a date"),
    _by_time("alerts", "a timestamp"),
    _by_time("actions", "a timestamp"),
    _by_time("follow_ups", "a timestamp"),
    Assumption(
        "filters.range.alerts",
        "Filters",
        "alerts: created_at[date_range] takes two timestamps, includes the first and excludes the second",
        partial(_created_between, name="alerts"),
        requests=1,
    ),
    Assumption(
        "filters.range.escalations",
        "Filters",
        "escalations: created_at[date_range] takes two dates and includes both",
        partial(_created_between, name="escalations"),
        requests=1,
    ),
    Assumption(
        "filters.until.alerts",
        "Filters",
        "alerts: created_at[lte] includes its timestamp",
        partial(_created_until, name="alerts"),
        requests=1,
    ),
    Assumption(
        "filters.until.escalations",
        "Filters",
        "escalations: created_at[lte] includes its date",
        partial(_created_until, name="escalations"),
        requests=1,
    ),
    Assumption(
        "filters.has_notes", "Filters", "has_notes[is]=true selects the alerts that have notes", _has_notes, requests=3
    ),
    Assumption(
        "filters.include_inactive",
        "Filters",
        "include_inactive decides whether the list has deactivated users",
        _inactive_users,
        requests=1,
    ),
    Assumption("filters.from", "Filters", "from leaves out the pauses that ended before it", _ended_pauses, requests=1),
    Assumption(
        "order.filtered.alerts",
        "Order",
        "alerts: the filter by created_at does not change the order",
        partial(_same_order, name="alerts"),
    ),
    Assumption(
        "order.filtered.escalations",
        "Order",
        "escalations: the filter by created_at does not change the order",
        partial(_same_order, name="escalations"),
    ),
    Assumption(
        "incident_filters.categories",
        "Incident filters",
        "With all eight categories the list has the declined, canceled and merged incidents",
        _hidden_categories,
        requests=1,
    ),
    Assumption(
        "incident_filters.open",
        "Incident filters",
        "status_category[one_of] selects the incidents of the repeated categories",
        _open_categories,
        requests=1,
    ),
    Assumption("incident_filters.known", "Incident filters", "There are eight status categories", _known_categories),
    Assumption(
        "incident_filters.mode", "Incident filters", "mode[one_of] selects the incidents of a mode", _modes, requests=1
    ),
    Assumption(
        "incident_filters.mode.actions",
        "Incident filters",
        "actions: incident_mode takes one mode; test records are in no other list",
        partial(_child_mode, name="actions"),
        requests=1,
    ),
    Assumption(
        "incident_filters.mode.follow_ups",
        "Incident filters",
        "follow_ups: incident_mode takes one mode; test records are in no other list",
        partial(_child_mode, name="follow_ups"),
        requests=1,
    ),
)
