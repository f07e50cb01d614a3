"""For each assumption, an API that contradicts it: a fault or an option of the sandbox, or a change of the proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from integration_tests.verify.proxy import Answer, Request

SEVERITIES = "/v1/severities"
MADE_UP = "01AAAAAAAAAAAAAAAAAAAAAAAA"


@dataclass(frozen=True)
class Break:
    """How an assumption is broken.

    Attributes:
        streams: the streams to verify.
        request: changes a request.
        answer: changes an answer.
        options: options of the sandbox.
        also: other assumptions that do not hold then.
        details: a text that is among the details.
    """

    streams: tuple[str, ...] = ("severities",)
    request: Callable[[Request], object] | None = None
    answer: Callable[[Answer], object] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    details: str = ""


def fault(text: str) -> dict[str, Any]:
    return {"fault": [text]}


def without(parameter: str, path: str = "") -> Callable[[Request], object]:
    """Ignore a parameter."""

    def change(request: Request) -> None:
        if request.path.startswith(path):
            request.query.pop(parameter, None)

    return change


def replace(parameter: str, old: list[str] | None, new: list[str]) -> Callable[[Request], object]:
    """Send another value of a parameter. `old`: only instead of this value."""

    def change(request: Request) -> None:
        if parameter in request.query and old in (None, request.query[parameter]):
            request.query[parameter] = new

    return change


def edit(path: str, change: Callable[[Answer], object]) -> Callable[[Answer], object]:
    """Change the successful answers of a path."""
    return lambda answer: change(answer) if answer.path == path and answer.status == 200 else None


def edit_records(path: str, **values: Any) -> Callable[[Answer], object]:
    """Set fields of all records of a path."""
    return edit(path, lambda answer: [record.update(values) for record in answer.records])


def _reverse(answer: Answer) -> None:
    answer.records.reverse()


def _reverse_range(answer: Answer) -> None:
    if any("date_range" in name for name in answer.query):
        answer.records.reverse()


def _no_such_incident(answer: Answer) -> None:
    if answer.query.get("incident_id") == [MADE_UP]:
        answer.status, answer.body = 200, {"incident_attachments": []}


def _entries(change: Callable[[str, dict[str, Any]], object]) -> Callable[[Answer], object]:
    def change_all(answer: Answer) -> None:
        for name, entries in answer.body["schedule_entries"].items():
            for entry in entries:
                change(name, entry)

    return edit("/v2/schedule_entries", change_all)


def _in_the_past(_: str, entry: dict[str, Any]) -> None:
    entry |= {name: f"2001{entry[name][4:]}" for name in ("start_at", "end_at")}


def _other_fingerprint(name: str, entry: dict[str, Any]) -> None:
    entry["fingerprint"] = f"{name}-{entry['fingerprint']}"


def _cut_shifts(answer: Answer) -> None:
    if answer.path == "/v2/schedule_entries":
        (start,) = answer.query["entry_window_start"]
        for entry in answer.body["schedule_entries"]["scheduled"]:
            entry["start_at"] = max(entry["start_at"], start)


def _truncate(answer: Answer) -> None:
    del answer.records[10:]
    answer.body["pagination_meta"]["page_size"] = 10


def _wrong_total(answer: Answer) -> None:
    if answer.query.get("mode[one_of]") == ["retrospective"]:
        answer.body["pagination_meta"]["total_record_count"] = 7777


def _everything_is_open(request: Request) -> None:
    categories = request.query.get("status_category[one_of]", [])
    if len(categories) == 4:
        categories += ["closed", "declined", "canceled", "merged"]


def _all_eight_are_ignored(request: Request) -> None:
    if len(request.query.get("status_category[one_of]", [])) == 8:
        del request.query["status_category[one_of]"]


def _no_cursor_for_one(request: Request) -> None:
    if request.query.get("page_size") == ["1"]:
        request.query.pop("after", None)


def _since(field_name: str, name: str) -> Break:
    return Break((name,), request=without(f"{field_name}[gte]"), details="should have been left out")


BREAKS = {
    "requests.identity": Break(
        answer=edit("/v1/identity", lambda answer: answer.body["identity"].pop("roles")), details="identity.roles"
    ),
    "requests.accepted": Break(options=fault(f"422:path={SEVERITIES}"), details="severities: the API refuses"),
    "requests.date": Break(options=fault(f"date:value=soon,path={SEVERITIES}"), details=f"{SEVERITIES}: 1 answer"),
    "requests.clock": Break(options=fault("date:offset=-7200"), details=" s behind this machine"),
    "limits.headers": Break(
        answer=lambda answer: answer.headers.update({"x-ratelimit-limit": "60 per minute"}),
        details="X-RateLimit-Limit has another form",
    ),
    "errors.scopes": Break(options=fault(f"403:scope=,path={SEVERITIES}"), details="no scope is named for severities"),
    "errors.not_found": Break(options=fault("404:body=html,path=/v2/incidents/*"), details="no error body"),
    "missing_parents.not_found": Break(answer=_no_such_incident, details="answers with 0 records"),
    "records.types": Break(
        answer=edit_records(SEVERITIES, rank="high", created_at="yesterday"),
        details="severities.rank is string instead of integer",
    ),
    "records.unique": Break(options=fault(f"duplicate:path={SEVERITIES}"), details="severities: 1 record of 5"),
    "records.parents": Break(
        ("schedule_overrides",),
        answer=edit_records("/v2/schedule_overrides", schedule_id=MADE_UP),
        details="with another parent",
    ),
    "compatibility.fields": Break(
        ("incidents",),
        answer=edit(
            "/v2/incidents",
            lambda answer: [record["incident_status"].update(colour="red") for record in answer.records],
        ),
        details="incidents.incident_status.colour",
    ),
    "schedule_entries.window": Break(("schedule_entries",), answer=_entries(_in_the_past), details="outside"),
    "schedule_entries.scheduled": Break(
        ("schedule_entries",),
        answer=_cut_shifts,
        details="scheduled: 1 shift of 1 cut",
    ),
    "schedule_entries.fingerprints": Break(("schedule_entries",), answer=_entries(_other_fingerprint)),
    "alert_notes.owner": Break(
        ("alert_notes",),
        answer=edit_records("/v1/alert_notes", alert_group_id=MADE_UP),
        also=(),
        details="both an alert and an alert group",
    ),
    "workloads.synced_at": Break(
        ("incident_participant_workloads",),
        answer=edit("/v2/incident_participant_workloads", lambda answer: answer.body["metadata"].clear()),
    ),
    "pages.shape": Break(
        options=fault(f"shape:as=missing,path={SEVERITIES}"), details="the answer has no 'severities'"
    ),
    "pages.next": Break(("users",), request=_no_cursor_for_one, details="has that record again"),
    "pages.last": Break(
        ("schedules",),
        request=without("after", "/v2/schedules"),
        details="schedules: records follow",
    ),
    "pages.total": Break(
        ("schedules",),
        answer=edit("/v2/schedules", lambda answer: answer.body["pagination_meta"].update(total_record_count=1)),
        details="the total is 1",
    ),
    "pages.unknown_cursor": Break(
        ("workflow_runs",), request=without("after", "/v2/workflow_runs"), details="answers with 200"
    ),
    "pages.unpaged": Break(
        answer=edit(SEVERITIES, lambda answer: answer.body.update(pagination_meta={"after": MADE_UP})),
        details="severities: the answer has a cursor",
    ),
    "page_sizes.maximum": Break(
        ("incident_updates",), answer=edit("/v2/incident_updates", _truncate), details="with a page_size of 10"
    ),
    "page_sizes.small": Break(
        ("users",), request=replace("page_size", ["1"], ["5"]), details="1 record was requested, the API returns 5"
    ),
    "order.documented": Break(("incidents",), answer=edit("/v2/incidents", _reverse), details="created_at, descending"),
    "filters.since.incidents": _since("updated_at", "incidents"),
    "filters.since.escalations": _since("updated_at", "escalations"),
    "filters.since.workflow_runs": _since("created_at", "workflow_runs"),
    "filters.since.alerts": _since("updated_at", "alerts"),
    "filters.since.actions": _since("updated_at", "actions"),
    "filters.since.follow_ups": _since("updated_at", "follow_ups"),
    "filters.range.alerts": Break(("alerts",), request=without("created_at[date_range]")),
    "filters.range.escalations": Break(("escalations",), request=without("created_at[date_range]")),
    "filters.until.alerts": Break(("alerts",), request=without("created_at[lte]")),
    "filters.until.escalations": Break(("escalations",), request=without("created_at[lte]")),
    "filters.has_notes": Break(
        ("alerts",), request=without("has_notes[is]"), details="an alert of the filtered list has no notes"
    ),
    "filters.include_inactive": Break(
        ("users",), request=replace("include_inactive", None, ["true"]), details="without the parameter"
    ),
    "filters.from": Break(
        ("on_call_notification_pauses",),
        request=replace("from", None, ["2020-01-01T00:00:00Z"]),
        details="ended before",
    ),
    "order.filtered.alerts": Break(("alerts",), answer=edit("/v2/alerts", _reverse_range)),
    "order.filtered.escalations": Break(("escalations",), answer=edit("/v2/escalations", _reverse_range)),
    "incident_filters.categories": Break(("incidents",), request=_all_eight_are_ignored, details="are missing"),
    "incident_filters.open": Break(("incidents",), request=_everything_is_open),
    "incident_filters.known": Break(
        ("incident_statuses",), answer=edit_records("/v1/incident_statuses", category="archived")
    ),
    "incident_filters.mode": Break(
        ("incidents",), request=replace("mode[one_of]", ["retrospective"], ["standard", "retrospective"])
    ),
    "incident_filters.mode.actions": Break(("actions",), request=without("incident_mode", "/v3/actions")),
    "incident_filters.mode.follow_ups": Break(("follow_ups",), request=without("incident_mode", "/v3/follow_ups")),
    "unknown.filtered_total": Break(
        ("incidents",), answer=edit("/v2/incidents", _wrong_total), details="total is 7777"
    ),
    "unknown.stream_mode": Break(("incidents",), options=fault("400:query=mode[one_of]=stream"), details="with 400"),
    "unknown.on_call": Break(
        ("schedules",), options=fault("422:path=/v2/schedules"), also=("requests.accepted",), details="with 422"
    ),
}
