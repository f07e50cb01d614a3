"""Query parameters that choose records: their columns, their operators, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from . import errors
from .contract import Endpoint
from .lists import Match, RecordList
from .times import DAY, parse_date, parse_moment

Query = dict[str, list[str]]

_BRACKETS = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_TIME_OPERATORS = ("gte", "lte", "date_range")
_NEVER = 1 << 62

# These compare days, both ends included, and want yyyy-mm-dd (live); the rest compare moments.
_BY_DATE = frozenset({"incidents", "escalations", "workflow_runs"})

# filter -> column, where a filter is not called as the column it looks at.
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
# Incidents that a request gets only when it asks for them (live).
_HIDDEN_CATEGORIES = ("declined", "canceled", "merged")
_USUAL_MODES = ("standard", "retrospective")
_ALL_MODES = (*_USUAL_MODES, "test", "tutorial", "stream")
_PAGING = frozenset({"page_size", "after", "sort_by", "filter_mode"})
# Fields of the record by name, and something else as parameters.
_OTHER_MEANING = frozenset(
    {
        ("maintenance_windows", "status"),
        ("status_page_incidents", "start_at"),
        ("status_page_incidents", "end_at"),
        ("status_page_maintenances", "start_at"),
        ("status_page_maintenances", "end_at"),
    }
)
_NOT_HERE = frozenset({"gte", "lte", "all_of"})  # operators that the API has on other than times
# Accepted and without effect here.
_WITHOUT_EFFECT = frozenset({("alerts", "include_maintenance_window")})


@dataclass
class Filter:
    """What a request wants of a list."""

    match: Match | None = None
    handles: list[int] | None = None
    """The candidates in order, when a filter could name them at once."""
    key: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unknown: list[str] = field(default_factory=list)
    """Parameters that the contract does not have."""


def build(endpoint: Endpoint, records: RecordList, query: Query, *, now_ms: int, is_note: Match | None) -> Filter:
    """The filter of a request; ApiError (422) for what the API refuses.

    `is_note` says of an alert whether it has notes.
    """
    name = endpoint.name
    matches: list[Match] = []
    asked: dict[str, dict[str, list[str]]] = {}
    built = Filter(key=tuple(sorted((k, tuple(v)) for k, v in query.items() if k != "after")))
    above = {parameter for parameter, _ in endpoint.parents}
    for parameter, values in query.items():
        if parameter in _PAGING or parameter in above:
            if parameter not in endpoint.parameters:
                built.unknown.append(parameter)
            continue
        brackets = _BRACKETS.fullmatch(parameter)
        if brackets is not None and endpoint.filters(brackets[1]):
            asked.setdefault(brackets[1], {})[brackets[2]] = values
        elif parameter.split("[")[0] in endpoint.parameters and "[" in parameter:
            raise errors.unsupported(parameter)
        elif parameter not in endpoint.parameters or endpoint.filters(parameter):
            built.unknown.append(parameter)
        elif (name, parameter) not in _PLAIN:
            column = _column(endpoint, parameter)
            if column == "incident_id":
                built.handles = records.group(column, values[-1])
            else:
                matches.append(_one_of(records, column, values))
    for parameter, operators in asked.items():
        if (name, parameter) in _WITHOUT_EFFECT:
            continue
        if parameter in ("created_at", "updated_at"):
            matches.append(_times(name, records, parameter, operators))
        elif parameter == "has_notes":
            wanted = _only(parameter, operators, "is")[-1] == "true"
            if is_note is not None:
                matches.append(is_note if wanted else lambda handle: not is_note(handle))
        else:
            column = _column(endpoint, parameter)
            matches.extend(_operators(records, parameter, column, operators))
    if query.get("filter_mode", ["all"])[-1] == "any" and len(matches) > 1:
        matches = [_any(matches)]
    matches.extend(_defaults(name, records, query, asked, now_ms))
    if matches:
        built.match = matches[0] if len(matches) == 1 else _all(matches)
    return built


def _column(endpoint: Endpoint, parameter: str) -> str:
    """The column that a parameter looks at; ApiError (501) when that is not implemented."""
    mapped = _COLUMNS.get(endpoint.name, {}).get(parameter)
    if mapped is None and (parameter not in endpoint.fields or (endpoint.name, parameter) in _OTHER_MEANING):
        raise errors.unsupported(parameter)
    return mapped or parameter


def _any(matches: list[Match]) -> Match:
    return lambda handle: any(match(handle) for match in matches)


def _all(matches: list[Match]) -> Match:
    return lambda handle: all(match(handle) for match in matches)


def _only(parameter: str, operators: dict[str, list[str]], allowed: str) -> list[str]:
    for operator in operators:
        if operator != allowed:
            raise errors.invalid(parameter, f"{operator} is not an operator of {parameter}")
    return operators[allowed]


def _times(name: str, records: RecordList, column: str, operators: dict[str, list[str]]) -> Match:
    if len(operators) != 1 or not set(operators) <= set(_TIME_OPERATORS):
        raise errors.invalid(column, f"{column} takes exactly one of gte, lte or date_range")
    [(operator, values)] = operators.items()
    parse = _day if name in _BY_DATE else _moment
    if operator == "date_range":
        low, tilde, high = values[-1].partition("~")
        if not tilde:
            raise errors.invalid(column, "date_range must be two dates with ~ between them")
        start, end = parse(column, low)[0], parse(column, high)[1]
        if name not in _BY_DATE:
            end = parse(column, high)[0]  # half-open: the second moment is not included
    elif operator == "gte":
        start, end = parse(column, values[-1])[0], _NEVER
    else:
        start, end = -_NEVER, parse(column, values[-1])[1]
    value = records.value
    return lambda handle: start <= (value(handle, column) or 0) < end


def _day(column: str, text: str) -> tuple[int, int]:
    day = parse_date(text)
    if day is None:
        raise errors.invalid(column, "must provide a date in the format yyyy-mm-dd")
    return day, day + DAY


def _moment(column: str, text: str) -> tuple[int, int]:
    moment = parse_moment(text)
    if moment is None:
        raise errors.invalid(column, "must provide an RFC 3339 timestamp")
    return moment, moment + 1


def _operators(records: RecordList, parameter: str, column: str, operators: dict[str, list[str]]) -> list[Match]:
    made: list[Match] = []
    for operator, values in operators.items():
        wanted = [item for value in values for item in value.split(",")]
        if operator in ("one_of", "is"):
            made.append(_one_of(records, column, wanted))
        elif operator == "not_in":
            one_of = _one_of(records, column, wanted)
            made.append(lambda handle, one_of=one_of: not one_of(handle))  # type: ignore[misc]
        elif operator == "starts_with":
            start = wanted[0]
            made.append(
                lambda handle, start=start: str(  # type: ignore[misc]
                    records.value(handle, column) or ""
                ).startswith(start)
            )
        elif operator in _NOT_HERE:
            raise errors.unsupported(f"{parameter}[{operator}]")
        else:
            raise errors.invalid(parameter, f"{operator} is not an operator of {parameter}")
    return made


def _one_of(records: RecordList, column: str, wanted: list[str]) -> Match:
    chosen = set(wanted)
    value = records.value
    if column.count("[]"):
        return lambda handle: not chosen.isdisjoint(value(handle, column))
    return lambda handle: value(handle, column) in chosen


def _defaults(
    name: str,
    records: RecordList,
    query: Query,
    asked: dict[str, dict[str, list[str]]],
    now_ms: int,
) -> list[Match]:
    """What the API leaves out unless it is asked for."""
    make = _DEFAULTS.get(name)
    return make(records, query, asked, now_ms) if make is not None else []


def _incidents(records: RecordList, query: Query, asked: dict[str, dict[str, list[str]]], now_ms: int) -> list[Match]:
    value = records.value
    made: list[Match] = []
    if "status_category" not in asked and "status" not in asked:
        hidden = frozenset(_HIDDEN_CATEGORIES)
        made.append(lambda handle: value(handle, "incident_status.category") not in hidden)
    if "mode" not in asked:
        shown = frozenset((*_USUAL_MODES, None))
        made.append(lambda handle: value(handle, "mode") in shown)
    return made


def _by_incident_mode(
    records: RecordList, query: Query, asked: dict[str, dict[str, list[str]]], now_ms: int
) -> list[Match]:
    value = records.value
    modes = query.get("incident_mode")
    if modes is None:
        shown = frozenset((*_USUAL_MODES, None))
    elif len(modes) > 1 or modes[0] not in _ALL_MODES:
        raise errors.invalid("incident_mode", "must be one of " + ", ".join(_ALL_MODES))
    else:
        shown = frozenset(modes)
    return [lambda handle: value(handle, "incident_mode") in shown]


def _users(records: RecordList, query: Query, asked: dict[str, dict[str, list[str]]], now_ms: int) -> list[Match]:
    if query.get("include_inactive", ["false"])[-1] == "true":
        return []
    value = records.value
    return [lambda handle: value(handle, "is_active") is not False]


def _pauses(records: RecordList, query: Query, asked: dict[str, dict[str, list[str]]], now_ms: int) -> list[Match]:
    """Pauses that end after `from` (now, unless given) and start before `to`."""
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


_DEFAULTS: dict[str, Callable[[RecordList, Query, dict[str, dict[str, list[str]]], int], list[Match]]] = {
    "incidents": _incidents,
    "actions": _by_incident_mode,
    "follow_ups": _by_incident_mode,
    "users": _users,
    "on_call_notification_pauses": _pauses,
}
# Parameters that the defaults deal with.
_PLAIN = frozenset(
    {
        ("actions", "incident_mode"),
        ("follow_ups", "incident_mode"),
        ("users", "include_inactive"),
        ("on_call_notification_pauses", "from"),
        ("on_call_notification_pauses", "to"),
    }
)
