"""Query parameters that filter a list: their columns, their operators, defaults and errors.

"live" marks what was measured at the real API.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sandbox import errors
from sandbox.contract import Endpoint
from sandbox.lists import Match, RecordList
from sandbox.times import DAY, parse_date, parse_moment

Query = dict[str, list[str]]
Operators = dict[str, list[str]]
"""The operators of one filter, each with its values."""

_BRACKETS = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_TIME_OPERATORS = ("gte", "lte", "date_range")
_NEVER = 1 << 62

# Time filters of these lists take yyyy-mm-dd and include both days (live). Those of other lists take timestamps.
_FILTERED_BY_DATE = frozenset({"incidents", "escalations", "workflow_runs"})

# By list: filter -> column, where the names differ.
_COLUMNS = {
    "incidents": {
        "status": "incident_status.id",
        "status_category": "incident_status.category",
        "severity": "severity.id",
        "incident_type": "incident_type.id",
    },
    "alerts": {
        "alert_source": "alert_source_id",
        "alert_group_id": "alert_group_ids[]",
        "tags": "tags[].name",
    },
    "escalations": {
        "escalation_path": "escalation_path_id",
        "alert": "related_alerts[].id",
        "incident": "related_incidents[].id",
    },
    "follow_ups": {"assignee_team_id": "assignee_team.id"},
    "incident_attachments": {
        "external_id": "resource.external_id",
        "resource_type": "resource.resource_type",
    },
    "incident_alerts": {"alert_id": "alert.id", "incident_id": "incident.id"},
}
# Incidents that the API returns only on request (live).
_HIDDEN_CATEGORIES = frozenset({"declined", "canceled", "merged"})
_DEFAULT_MODES = ("standard", "retrospective")
_ALL_MODES = (*_DEFAULT_MODES, "test", "tutorial", "stream")
_PAGING = frozenset({"page_size", "after", "sort_by", "filter_mode"})
# Parameters that have the name of a record's field and another meaning.
_NOT_THE_FIELD = frozenset(
    {
        ("maintenance_windows", "status"),
        ("status_page_incidents", "start_at"),
        ("status_page_incidents", "end_at"),
        ("status_page_maintenances", "start_at"),
        ("status_page_maintenances", "end_at"),
    }
)
# Operators that the API has on filters other than times, and the sandbox does not implement.
_UNSUPPORTED_OPERATORS = frozenset({"gte", "lte", "all_of"})
# Accepted and ignored by the sandbox.
_IGNORED = frozenset({("alerts", "include_maintenance_window")})
# Parameters that the functions in `_DEFAULTS` handle.
_HANDLED_BY_DEFAULTS = frozenset(
    {
        ("actions", "incident_mode"),
        ("follow_ups", "incident_mode"),
        ("users", "include_inactive"),
        ("on_call_notification_pauses", "from"),
        ("on_call_notification_pauses", "to"),
    }
)


@dataclass
class Filter:
    """Which records of a list a request selects."""

    match: Match | None = None
    handles: list[int] | None = None
    """The candidates in order, if a filter selects them without a scan."""
    key: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Identifies the filter, for a cache."""
    unknown: list[str] = field(default_factory=list)
    """Parameters that the contract does not have."""


def build_filter(
    endpoint: Endpoint,
    records: RecordList,
    query: Query,
    *,
    now_ms: int,
    has_notes: Match | None,
    precision_ms: int = 1,
) -> Filter:
    """The filter of a request.

    Args:
        endpoint: the list's endpoint.
        records: the list.
        query: the decoded query.
        now_ms: the server's time.
        has_notes: whether an alert has notes; None for other lists.
        precision_ms: timestamps are cut to a multiple of it.

    Raises:
        ApiError: 422 if the API rejects the query, 501 if the sandbox does not implement it.
    """
    result = Filter(key=tuple(sorted((k, tuple(v)) for k, v in query.items() if k != "after")))
    matches: list[Match] = []
    filters: dict[str, Operators] = {}
    for parameter, values in query.items():
        brackets = _BRACKETS.fullmatch(parameter)
        if not _is_known(endpoint, parameter):
            result.unknown.append(parameter)
        elif brackets is not None:
            filters.setdefault(brackets[1], {})[brackets[2]] = values
        elif not _is_filter(endpoint, parameter):
            continue
        elif (column := _column(endpoint, parameter)) == "incident_id":
            result.handles = records.handles_with(column, values[-1])
        else:
            matches.append(_one_of(records, column, values))
    for parameter, operators in filters.items():
        matches += _filter(endpoint, records, parameter, operators, has_notes, precision_ms)
    if query.get("filter_mode", ["all"])[-1] == "any" and len(matches) > 1:
        matches = [_any(matches)]
    if endpoint.name in _DEFAULTS:
        matches += _DEFAULTS[endpoint.name](records, query, frozenset(filters), now_ms)
    if matches:
        result.match = matches[0] if len(matches) == 1 else _all(matches)
    return result


def _is_paging_or_parent(endpoint: Endpoint, parameter: str) -> bool:
    return parameter in _PAGING or any(parameter == parent for parent, _ in endpoint.parents)


def _is_known(endpoint: Endpoint, parameter: str) -> bool:
    """Whether the contract has a parameter; ApiError (501) if it has it and the sandbox does not."""
    if _is_paging_or_parent(endpoint, parameter):
        return parameter in endpoint.parameters
    brackets = _BRACKETS.fullmatch(parameter)
    if brackets is not None and endpoint.filters(brackets[1]):
        return True
    if parameter.split("[")[0] in endpoint.parameters and "[" in parameter:
        raise errors.unsupported(parameter)
    return parameter in endpoint.parameters and not endpoint.filters(parameter)


def _is_filter(endpoint: Endpoint, parameter: str) -> bool:
    """Whether a known parameter without an operator filters by a column."""
    return not _is_paging_or_parent(endpoint, parameter) and (endpoint.name, parameter) not in _HANDLED_BY_DEFAULTS


def _column(endpoint: Endpoint, parameter: str) -> str:
    """The column that a parameter filters by; ApiError (501) if the sandbox does not implement it."""
    mapped = _COLUMNS.get(endpoint.name, {}).get(parameter)
    if mapped is None and (parameter not in endpoint.fields or (endpoint.name, parameter) in _NOT_THE_FIELD):
        raise errors.unsupported(parameter)
    return mapped or parameter


def _any(matches: list[Match]) -> Match:
    return lambda handle: any(match(handle) for match in matches)


def _all(matches: list[Match]) -> Match:
    return lambda handle: all(match(handle) for match in matches)


def _not(match: Match) -> Match:
    return lambda handle: not match(handle)


def _filter(
    endpoint: Endpoint,
    records: RecordList,
    parameter: str,
    operators: Operators,
    has_notes: Match | None,
    precision_ms: int,
) -> list[Match]:
    """The conditions of `parameter[operator]=value`."""
    if (endpoint.name, parameter) in _IGNORED:
        return []
    if parameter in ("created_at", "updated_at"):
        parse = _day if endpoint.name in _FILTERED_BY_DATE else partial(_moment, precision_ms=precision_ms)
        return [_times(records, parameter, operators, parse)]
    if parameter == "has_notes":
        for operator in operators:
            if operator != "is":
                raise _not_an_operator(parameter, operator)
        if has_notes is None:
            return []
        return [has_notes if operators["is"][-1] == "true" else _not(has_notes)]
    return _values(records, parameter, _column(endpoint, parameter), operators)


def _not_an_operator(parameter: str, operator: str) -> errors.ApiError:
    return errors.invalid(parameter, f"{operator} is not an operator of {parameter}")


def _times(
    records: RecordList, column: str, operators: Operators, parse: Callable[[str, str], tuple[int, int]]
) -> Match:
    """The condition of a time filter. `parse` returns the start and the end of the day or moment in its value."""
    if len(operators) != 1 or not set(operators) <= set(_TIME_OPERATORS):
        raise errors.invalid(column, f"{column} takes exactly one of gte, lte or date_range")
    [(operator, values)] = operators.items()
    if operator == "date_range":
        low, tilde, high = values[-1].partition("~")
        if not tilde:
            raise errors.invalid(column, "date_range must be two dates with ~ between them")
        # Ranges of dates include the last day, ranges of timestamps exclude the second timestamp.
        start, end = parse(column, low)[0], parse(column, high)[1 if parse is _day else 0]
    elif operator == "gte":
        start, end = parse(column, values[-1])[0], _NEVER
    else:
        start, end = -_NEVER, parse(column, values[-1])[1]
    value = records.value
    return lambda handle: start <= (value(handle, column) or 0) < end


def _day(column: str, text: str) -> tuple[int, int]:
    """Start and end of a day, in milliseconds."""
    day = parse_date(text)
    if day is None:
        raise errors.invalid(column, "must provide a date in the format yyyy-mm-dd")
    return day, day + DAY


def _moment(column: str, text: str, *, precision_ms: int = 1) -> tuple[int, int]:
    """Start and end of a millisecond. The timestamp is cut to a multiple of `precision_ms`."""
    moment = parse_moment(text)
    if moment is None:
        raise errors.invalid(column, "must provide an RFC 3339 timestamp")
    moment -= moment % precision_ms
    return moment, moment + 1


def _values(records: RecordList, parameter: str, column: str, operators: Operators) -> list[Match]:
    matches: list[Match] = []
    for operator, texts in operators.items():
        values = [value for text in texts for value in text.split(",")]
        if operator in ("one_of", "is"):
            matches.append(_one_of(records, column, values))
        elif operator == "not_in":
            matches.append(_not(_one_of(records, column, values)))
        elif operator == "starts_with":
            matches.append(_starts_with(records, column, values[0]))
        elif operator in _UNSUPPORTED_OPERATORS:
            raise errors.unsupported(f"{parameter}[{operator}]")
        else:
            raise _not_an_operator(parameter, operator)
    return matches


def _one_of(records: RecordList, column: str, values: list[str]) -> Match:
    accepted = set(values)
    value = records.value
    if "[]" in column:
        return lambda handle: not accepted.isdisjoint(value(handle, column))
    return lambda handle: value(handle, column) in accepted


def _starts_with(records: RecordList, column: str, prefix: str) -> Match:
    return lambda handle: str(records.value(handle, column) or "").startswith(prefix)


# What the API leaves out by default.


def _incidents(records: RecordList, query: Query, filters: frozenset[str], now_ms: int) -> list[Match]:
    value = records.value
    matches: list[Match] = []
    if "status_category" not in filters and "status" not in filters:
        matches.append(lambda handle: value(handle, "incident_status.category") not in _HIDDEN_CATEGORIES)
    if "mode" not in filters:
        shown = frozenset((*_DEFAULT_MODES, None))
        matches.append(lambda handle: value(handle, "mode") in shown)
    return matches


def _incident_mode(records: RecordList, query: Query, filters: frozenset[str], now_ms: int) -> list[Match]:
    value = records.value
    modes = query.get("incident_mode")
    if modes is None:
        shown = frozenset((*_DEFAULT_MODES, None))
    elif len(modes) > 1 or modes[0] not in _ALL_MODES:
        raise errors.invalid("incident_mode", "must be one of " + ", ".join(_ALL_MODES))
    else:
        shown = frozenset(modes)
    return [lambda handle: value(handle, "incident_mode") in shown]


def _users(records: RecordList, query: Query, filters: frozenset[str], now_ms: int) -> list[Match]:
    if query.get("include_inactive", ["false"])[-1] == "true":
        return []
    value = records.value
    return [lambda handle: value(handle, "is_active") is not False]


def _pauses(records: RecordList, query: Query, filters: frozenset[str], now_ms: int) -> list[Match]:
    """Pauses that end after `from` (default: now) and start before `to`."""
    bounds = {"from": now_ms, "to": _NEVER}
    for name in bounds:
        if name in query:
            bounds[name] = _moment(name, query[name][-1])[0]
    value = records.value
    return [
        lambda handle: (
            (parse_moment(value(handle, "ends_at")) or 0) > bounds["from"]
            and (parse_moment(value(handle, "starts_at")) or 0) < bounds["to"]
        )
    ]


_DEFAULTS: dict[str, Callable[[RecordList, Query, frozenset[str], int], list[Match]]] = {
    "incidents": _incidents,
    "actions": _incident_mode,
    "follow_ups": _incident_mode,
    "users": _users,
    "on_call_notification_pauses": _pauses,
}
