"""The API's errors, filters, sort orders, defaults and admin endpoints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from sandbox import Sandbox

from .conftest import Client, Start

CATEGORIES = ["triage", "live", "learning", "paused", "closed", "declined", "canceled", "merged"]


def test_a_wrong_key_is_a_401(sandbox: Sandbox) -> None:
    response = Client(sandbox, key="wrong").get("/v1/identity")
    body = response.json()
    assert response.status_code == 401
    assert body["type"] == "authentication_error"
    assert body["status"] == 401
    assert body["request_id"]
    assert body["errors"][0]["code"] == "access_token_invalid"


def test_identity_describes_the_key(client: Client) -> None:
    assert set(client.ok("/v1/identity")["identity"]) >= {"name", "roles", "dashboard_url"}


def test_a_403_names_the_missing_scope(start: Start) -> None:
    _, client = start(forbid=["workflows.view"])
    response = client.get("/v2/workflows")
    body = response.json()
    assert response.status_code == 403
    assert body["type"] == "resource_forbidden"
    assert body["errors"][0]["code"] == "missing_required_scope"
    assert body["errors"][0]["metadata"] == {"scope": "workflows.view"}
    assert client.get("/v1/severities").status_code == 200


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/v2/incidents", {"page_size": 251}, "page_size"),
        ("/v2/incidents", {"page_size": 0}, "page_size"),
        ("/v2/incidents", {"page_size": "many"}, "page_size"),
        ("/v2/alerts", {}, "page_size"),
        ("/v2/alerts", {"page_size": 51}, "page_size"),
        ("/v2/incident_alerts", {}, "page_size"),
        ("/v3/catalog_entries", {"page_size": 10}, "catalog_type_id"),
        ("/v1/custom_field_options", {}, "custom_field_id"),
        ("/v1/incident_attachments", {}, "incident_id"),
        ("/v1/alert_notes", {}, "alert_id"),
        ("/v2/call_sessions", {}, "incident_id"),
        ("/v2/incidents", {"sort_by": "name"}, "sort_by"),
        ("/v2/incidents", {"updated_at[gte]": "2026-01-01T00:00:00Z"}, "updated_at"),
        ("/v2/escalations", {"updated_at[gte]": "2026-01-01T00:00:00Z"}, "updated_at"),
        ("/v2/workflow_runs", {"created_at[gte]": "2026-01-01T00:00:00Z"}, "created_at"),
        (
            "/v2/incidents",
            {"updated_at[gte]": "2026-01-01", "updated_at[lte]": "2026-02-01"},
            "updated_at",
        ),
        ("/v2/incidents", {"updated_at[after]": "2026-01-01"}, "updated_at"),
        ("/v2/incidents", {"updated_at[date_range]": "2026-01-01"}, "updated_at"),
        ("/v3/actions", {"updated_at[gte]": "yesterday"}, "updated_at"),
        ("/v3/actions", {"incident_mode": ["test", "standard"]}, "incident_mode"),
        ("/v3/follow_ups", {"incident_mode": "none"}, "incident_mode"),
        ("/v2/incidents", {"mode[like]": "t"}, "mode"),
    ],
)
def test_an_invalid_request_is_a_422(client: Client, path: str, query: dict[str, Any], field: str) -> None:
    response = client.get(path, **query)
    body = response.json()
    assert response.status_code == 422, body
    assert body["type"] == "validation_error"
    assert body["errors"][0]["source"]["field"] == field


def test_rejects_a_timestamp_where_a_date_is_required(client: Client) -> None:
    body = client.get("/v2/incidents", **{"updated_at[gte]": "2026-01-01T00:00:00Z"}).json()
    message = "must provide a date in the format yyyy-mm-dd"
    assert body["errors"][0]["message"] == message


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v2/incidents", {"after": "01ZZZZZZZZZZZZZZZZZZZZZZZZ"}),
        ("/v2/incidents", {"after": ""}),
        ("/v2/call_sessions", {"incident_id": "01ZZZZZZZZZZZZZZZZZZZZZZZZ"}),
        ("/v2/call_transcript_entries", {"call_session_id": "gone"}),
        ("/v2/users/nobody/notification_methods", {}),
        ("/v2/status_page_structures/none", {}),
        ("/v1/postmortem_documents/none/content", {}),
        ("/v9/incidents", {}),
        ("/v2/incidents/none", {}),
    ],
)
def test_an_unknown_path_or_id_is_a_404(client: Client, path: str, query: dict[str, Any]) -> None:
    response = client.get(path, **query)
    assert response.status_code == 404
    assert response.json()["type"] == "resource_not_found"


def test_without_a_trailing_empty_page_the_last_page_has_no_after(start: Start) -> None:
    _, client = start(trailing_empty_page=False)
    pages: list[Any] = []
    after: dict[str, str] = {}
    while True:
        body = client.ok("/v3/actions", page_size=100, **after)
        pages.append(body)
        if "after" not in body["pagination_meta"]:
            break
        assert body["pagination_meta"]["after"] == body["actions"][-1]["id"]
        after = {"after": body["pagination_meta"]["after"]}
    assert [len(page["actions"]) for page in pages[:-1]] == [100] * (len(pages) - 1)
    assert 0 < len(pages[-1]["actions"]) <= 100


def test_the_last_page_has_an_after_that_leads_to_an_empty_page(client: Client) -> None:
    after = client.ok("/v3/actions", page_size=250)["pagination_meta"]["after"]
    for _ in range(10):
        body = client.ok("/v3/actions", page_size=250, after=after)
        if not body["actions"]:
            break
        after = body["pagination_meta"]["after"]
    assert body["actions"] == []
    assert "after" not in body["pagination_meta"]


def test_an_empty_list_has_no_after(client: Client) -> None:
    meta = client.ok("/v3/actions", page_size=250, incident_mode="stream")["pagination_meta"]
    assert meta == {"page_size": 250}


def test_an_unpaged_list_has_no_pagination_meta(client: Client) -> None:
    assert set(client.ok("/v1/severities")) == {"severities"}


def test_incidents_hides_statuses_and_modes_by_default(sandbox: Sandbox, client: Client) -> None:
    everything = sandbox.records("incidents")
    by_default = client.all("/v2/incidents", "incidents", page_size=250)
    assert {i["mode"] for i in by_default} == {"standard", "retrospective"}
    hidden = {"declined", "canceled", "merged"}
    assert {i["incident_status"]["category"] for i in by_default} == set(CATEGORIES) - hidden
    on_request = client.all(
        "/v2/incidents",
        "incidents",
        page_size=250,
        **{
            "status_category[one_of]": CATEGORIES,
            "mode[one_of]": ["standard", "retrospective", "test", "tutorial"],
        },
    )
    assert sorted(i["id"] for i in on_request) == sorted(i["id"] for i in everything)
    assert {i["incident_status"]["category"] for i in everything} == set(CATEGORIES)
    assert {i["mode"] for i in everything} == {"standard", "retrospective", "test", "tutorial"}


def test_incidents_has_the_total_record_count(client: Client) -> None:
    body = client.ok("/v2/incidents", page_size=1)
    all_records = client.all("/v2/incidents", "incidents", page_size=250)
    assert body["pagination_meta"]["total_record_count"] == len(all_records)
    assert body["pagination_meta"]["page_size"] == 1


@pytest.mark.parametrize("name", ["actions", "follow_ups"])
def test_incident_mode_selects_actions_and_follow_ups(sandbox: Sandbox, client: Client, name: str) -> None:
    modes = {i["id"]: i["mode"] for i in sandbox.records("incidents")}
    everything = sandbox.records(name)
    by_default = client.all(f"/v3/{name}", name, page_size=250)
    assert {modes[r["incident_id"]] for r in by_default} == {"standard", "retrospective"}
    all_modes = list(by_default)
    for mode in ("test", "tutorial"):
        found = client.all(f"/v3/{name}", name, page_size=250, incident_mode=mode)
        assert {modes[r["incident_id"]] for r in found} <= {mode}
        all_modes += found
    assert client.all(f"/v3/{name}", name, page_size=250, incident_mode="stream") == []
    assert sorted(r["id"] for r in all_modes) == sorted(r["id"] for r in everything)


def test_lists_are_in_the_documented_order(client: Client) -> None:
    for name in ("actions", "follow_ups"):
        ids = [r["id"] for r in client.all(f"/v3/{name}", name, page_size=250)]
        assert ids == sorted(ids)
    newest = client.all("/v2/incidents", "incidents", page_size=250)
    created = [moment(i["created_at"]) for i in newest]
    assert created == sorted(created, reverse=True)
    oldest = client.all("/v2/incidents", "incidents", page_size=250, sort_by="created_at_oldest_first")
    assert oldest == newest[::-1]
    runs = client.all("/v2/workflow_runs", "workflow_runs", page_size=50)
    created = [moment(r["created_at"]) for r in runs]
    assert created == sorted(created, reverse=True)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def day(text: str) -> str:
    return moment(text).astimezone(UTC).date().isoformat()


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
@pytest.mark.parametrize("name", ["incidents", "escalations"])
def test_date_filters_include_both_days(client: Client, name: str, field: str) -> None:
    path, size = f"/v2/{name}", 50
    everything = client.all(path, name, page_size=size)
    days = sorted(day(r[field]) for r in everything)
    low, high = days[len(days) // 3], days[2 * len(days) // 3]
    for operator, value, keeps in (
        ("gte", low, lambda d: d >= low),
        ("lte", high, lambda d: d <= high),
        ("date_range", f"{low}~{high}", lambda d: low <= d <= high),
    ):
        found = client.all(path, name, page_size=size, **{f"{field}[{operator}]": value})
        assert found == [r for r in everything if keeps(day(r[field]))]
        assert 0 < len(found) < len(everything)


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
@pytest.mark.parametrize("path", ["/v2/alerts", "/v3/actions", "/v3/follow_ups"])
def test_timestamp_filters_are_exact_and_ranges_exclude_their_end(client: Client, path: str, field: str) -> None:
    name = path.rsplit("/", 1)[-1]
    everything = client.all(path, name, page_size=50)
    moments = sorted(r[field] for r in everything)
    low, high = (moments[len(moments) // 3], moments[2 * len(moments) // 3])
    for operator, value, keeps in (
        ("gte", low, lambda m: m >= moment(low)),
        ("lte", high, lambda m: m <= moment(high)),
        ("date_range", f"{low}~{high}", lambda m: moment(low) <= m < moment(high)),
    ):
        found = client.all(path, name, page_size=50, **{f"{field}[{operator}]": value})
        assert found == [r for r in everything if keeps(moment(r[field]))]
        assert 0 < len(found) < len(everything)


def test_filter_precision_cuts_the_timestamps_in_filters(start: Start) -> None:
    sandbox, client = start(incidents=3, alerts=3, filter_precision=1000)
    first, second, third = sandbox.records("alerts")
    moments = ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.400Z", "2026-01-01T00:00:01Z")
    for alert, created_at in zip((first, second, third), moments, strict=True):
        sandbox.put("alerts", [{**alert, "created_at": created_at}])

    def found(operator: str, value: str) -> set[str]:
        records = client.ok("/v2/alerts", page_size=50, **{f"created_at[{operator}]": value})["alerts"]
        return {record["id"] for record in records}

    assert found("lte", "2026-01-01T00:00:00.999Z") == {first["id"]}
    assert found("gte", "2026-01-01T00:00:00.999Z") == {first["id"], second["id"], third["id"]}
    assert found("date_range", "2026-01-01T00:00:00.999Z~2026-01-01T00:00:01.999Z") == {first["id"], second["id"]}


def test_combines_two_filters_with_and(client: Client) -> None:
    everything = client.all("/v2/alerts", "alerts", page_size=50)
    since = sorted(a["created_at"] for a in everything)[400]
    found = client.all(
        "/v2/alerts",
        "alerts",
        page_size=50,
        **{"created_at[gte]": since, "status[one_of]": "resolved"},
    )
    assert found == [a for a in everything if moment(a["created_at"]) >= moment(since) and a["status"] == "resolved"]


def test_filters_incidents_by_severity(sandbox: Sandbox, client: Client) -> None:
    severity = client.ok("/v1/severities")["severities"][1]["id"]
    everything = client.all("/v2/incidents", "incidents", page_size=250)
    for operator, keeps in (("one_of", True), ("not_in", False)):
        found = client.all("/v2/incidents", "incidents", page_size=250, **{f"severity[{operator}]": severity})
        assert found == [i for i in everything if (i.get("severity", {}).get("id") == severity) is keeps]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v2/incident_updates", "incident_updates"),
        ("/v3/actions", "actions"),
        ("/v3/follow_ups", "follow_ups"),
    ],
)
def test_filters_children_by_incident(sandbox: Sandbox, client: Client, path: str, name: str) -> None:
    everything = sandbox.records(name)
    incidents = [i["id"] for i in sandbox.records("incidents") if i["mode"] == "standard"]
    for incident in incidents[::20]:
        found = client.all(path, name, page_size=3, incident_id=incident)
        assert found == [r for r in everything if r["incident_id"] == incident]


def test_the_last_update_has_the_incidents_status(sandbox: Sandbox) -> None:
    incidents = {i["id"]: i for i in sandbox.records("incidents")}
    last: dict[str, Any] = {}
    for update in sandbox.records("incident_updates"):
        incident = incidents[update["incident_id"]]
        assert moment(incident["created_at"]) <= moment(update["created_at"])
        assert moment(update["created_at"]) <= moment(incident["updated_at"])
        last[update["incident_id"]] = update
    assert len(last) > 150
    for incident_id, update in last.items():
        assert update["new_incident_status"] == incidents[incident_id]["incident_status"]


def test_include_inactive_adds_deactivated_users(client: Client) -> None:
    by_default = client.all("/v2/users", "users", page_size=10000)
    everything = client.all("/v2/users", "users", page_size=10000, include_inactive="true")
    assert all(user["is_active"] for user in by_default)
    assert len(everything) == 60 > len(by_default) > 40


def test_has_notes_selects_alerts_with_notes(client: Client) -> None:
    noted = client.all("/v2/alerts", "alerts", page_size=50, **{"has_notes[is]": "true"})
    rest = client.all("/v2/alerts", "alerts", page_size=50, **{"has_notes[is]": "false"})
    assert 0 < len(noted) < 100
    assert len(noted) + len(rest) == 800
    for alert in noted[:5]:
        notes = client.ok("/v1/alert_notes", alert_id=alert["id"])["alert_notes"]
        assert notes
        assert {note["alert_id"] for note in notes} == {alert["id"]}
    assert client.ok("/v1/alert_notes", alert_id=rest[0]["id"])["alert_notes"] == []


def test_has_notes_follows_added_and_deleted_notes(start: Start) -> None:
    sandbox, client = start(incidents=3, alerts=100)
    noted = client.all("/v2/alerts", "alerts", page_size=50, **{"has_notes[is]": "true"})[0]["id"]
    other = client.all("/v2/alerts", "alerts", page_size=50, **{"has_notes[is]": "false"})[0]["id"]
    notes = client.ok("/v1/alert_notes", alert_id=noted)["alert_notes"]
    sandbox.put("alert_notes", [{**notes[0], "id": "01ZZNEWNOTE", "alert_id": other}])
    sandbox.delete("alert_notes", [note["id"] for note in notes], {"alert_id": noted})
    ids = {alert["id"] for alert in client.all("/v2/alerts", "alerts", page_size=50, **{"has_notes[is]": "true"})}
    assert other in ids
    assert noted not in ids


def alerts_with_groups(sandbox: Sandbox) -> dict[str, set[str]]:
    """The alerts of each group, by the group's id."""
    groups: dict[str, set[str]] = {}
    for alert in sandbox.records("alerts"):
        for group in alert["alert_group_ids"]:
            groups.setdefault(group, set()).add(alert["id"])
    return groups


def test_groups_of_alerts_have_notes_of_their_own(sandbox: Sandbox, client: Client) -> None:
    groups = alerts_with_groups(sandbox)
    notes = {group: client.ok("/v1/alert_notes", alert_group_id=group)["alert_notes"] for group in groups}
    assert any(notes.values())
    assert not all(notes.values())
    for group, notes_of_group in notes.items():
        assert all(note["alert_group_id"] == group and "alert_id" not in note for note in notes_of_group)
    assert client.get("/v1/alert_notes", alert_group_id="01ZZZZZZZZZZZZZZZZZZZZZZZZ").status_code == 404
    of_alerts = [note["id"] for note in sandbox.records("alert_notes")]
    of_groups = [note["id"] for note in sandbox.records("alert_group_notes")]
    assert len({*of_alerts, *of_groups}) == len(of_alerts) + len(of_groups)
    assert {note["id"] for notes_of_group in notes.values() for note in notes_of_group} == set(of_groups)


def test_an_alert_is_in_no_group_or_in_one_or_two(sandbox: Sandbox, client: Client) -> None:
    assert {len(alert["alert_group_ids"]) for alert in sandbox.records("alerts")} == {0, 1, 2}
    for group, alerts in list(alerts_with_groups(sandbox).items())[:3]:
        found = client.all("/v2/alerts", "alerts", page_size=50, **{"alert_group_id[one_of]": group})
        assert {alert["id"] for alert in found} == alerts


def test_notes_are_requested_for_an_alert_or_for_a_group(sandbox: Sandbox, client: Client) -> None:
    group, alerts = next(iter(alerts_with_groups(sandbox).items()))
    for query in ({"alert_id": next(iter(alerts)), "alert_group_id": group}, {}, {"alert_group_id": ""}):
        response = client.get("/v1/alert_notes", **query)
        assert response.status_code == 422


@pytest.mark.parametrize("counts_groups", [True, False])
def test_has_notes_can_count_the_notes_of_groups(start: Start, counts_groups: bool) -> None:
    sandbox, client = start(incidents=3, alerts=200, has_notes_counts_groups=counts_groups)
    groups = alerts_with_groups(sandbox)
    own = {note["alert_id"] for note in sandbox.records("alert_notes")}
    of_groups = {alert for note in sandbox.records("alert_group_notes") for alert in groups[note["alert_group_id"]]}
    assert of_groups - own
    found = client.all("/v2/alerts", "alerts", page_size=50, **{"has_notes[is]": "true"})
    assert {alert["id"] for alert in found} == (own | of_groups if counts_groups else own)


def test_the_time_of_the_last_complete_workloads_can_be_set(start: Start) -> None:
    sandbox, client = start(incidents=3)
    incident = sandbox.records("incidents")[0]["id"]
    path = "/v2/incident_participant_workloads"
    assert client.ok(path, incident_id=incident)["metadata"]["data_synced_at"] < "2026-03-02"
    sandbox.config(data_synced_at="2026-03-04T05:06:07Z")
    assert client.ok(path, incident_id=incident)["metadata"] == {"data_synced_at": "2026-03-04T05:06:07Z"}


def test_from_adds_past_pauses(client: Client) -> None:
    path, name = "/v2/on_call_notification_pauses", "on_call_notification_pauses"
    current = client.all(path, name)
    everything = client.all(path, name, **{"from": "2020-01-01T00:00:00Z"})
    assert 0 < len(current) < len(everything)


def test_schedule_entries_cover_their_window_page_by_page(sandbox: Sandbox, client: Client) -> None:
    schedule = sandbox.records("schedules")[0]["id"]
    window = {
        "schedule_id": schedule,
        "entry_window_start": "2026-02-01T06:00:00Z",
        "entry_window_end": "2026-03-15T06:00:00Z",
    }
    found: dict[str, list[Any]] = {"final": [], "overrides": [], "scheduled": []}
    for pages in range(1, 20):  # noqa: B007
        body = client.ok("/v2/schedule_entries", **window)
        for name, entries in body["schedule_entries"].items():
            found[name] += entries
        if "pagination_meta" not in body:
            break
        window["entry_window_start"] = body["pagination_meta"]["after"]
    assert pages > 2
    starts = [entry["start_at"] for entry in found["final"]]
    assert starts == sorted(set(starts))
    # The shift that runs at the window's start is cut there in `final` only.
    assert (starts[0], found["final"][-1]["end_at"]) == ("2026-02-01T06:00:00Z", "2026-03-15T07:00:00Z")
    assert found["scheduled"][0]["start_at"] == "2026-01-31T19:00:00Z"
    assert found["overrides"]
    assert len({e["fingerprint"] for e in found["final"]}) == len(starts) == len(found["scheduled"])


def test_an_override_that_runs_at_the_start_of_the_window_is_cut_to_the_millisecond(
    sandbox: Sandbox, client: Client
) -> None:
    schedule = sandbox.records("schedules")[0]["id"]

    def entries(start: str) -> dict[str, list[dict[str, Any]]]:
        window = {"entry_window_start": start, "entry_window_end": "2026-02-09T06:00:00Z"}
        found: dict[str, list[dict[str, Any]]] = client.ok("/v2/schedule_entries", schedule_id=schedule, **window)[
            "schedule_entries"
        ]
        return found

    override = entries("2026-02-01T06:00:00Z")["overrides"][0]
    start = (moment(override["start_at"]) + timedelta(seconds=1, milliseconds=893)).strftime("%Y-%m-%dT%H:%M:%S.893Z")
    cut = entries(start)
    assert cut["final"][0]["start_at"] == cut["overrides"][0]["start_at"] == start
    assert cut["final"][0]["fingerprint"] == cut["overrides"][0]["fingerprint"] != override["fingerprint"]
    assert cut["overrides"][0] == {
        **override,
        "start_at": start,
        "fingerprint": cut["overrides"][0]["fingerprint"],
    }
    assert cut["scheduled"][0]["start_at"] == override["start_at"]
    assert cut["final"][1:] == [entry for entry in entries(override["start_at"])["final"] if entry["start_at"] > start]
    assert not any("entry_id" in entry for listed in cut.values() for entry in listed)


def test_omits_next_shifts_on_large_pages(client: Client) -> None:
    small = client.ok("/v2/schedules", page_size=25)["schedules"]
    large = client.ok("/v2/schedules", page_size=26)["schedules"]
    assert any("next_shifts" in schedule for schedule in small)
    assert not any("next_shifts" in schedule for schedule in large)


def test_alert_sources_contain_credentials(sandbox: Sandbox) -> None:
    text = str(sandbox.records("alert_sources"))
    assert "secret_token" in text
    assert "alert_events_url" in text
    assert "sandbox-credential" in text


def test_every_response_has_date_and_rate_limit_headers(client: Client) -> None:
    for path in ("/v2/incidents", "/v1/severities", "/v9/nothing"):
        headers = client.get(path).headers
        parsedate_to_datetime(headers["Date"])
        limits = "1200, 1200;window=60"
        if path == "/v2/incidents":
            limits = "60, 1200;window=60, 60;window=60"
        assert headers["X-RateLimit-Limit"] == limits
        assert int(headers["X-RateLimit-Remaining"]) > 0
        assert int(headers["X-RateLimit-Reset"]) > 0


def test_the_date_header_follows_the_configured_clock(client: Client) -> None:
    date = parsedate_to_datetime(client.get("/v1/identity").headers["Date"])
    since = (date - datetime(2026, 3, 2, 10, tzinfo=UTC)).total_seconds()
    assert 0 <= since < 3600


def test_requests_are_logged_and_counted(start: Start) -> None:
    sandbox, client = start(incidents=3)
    client.get("/v2/incidents", page_size=2, nonsense="1")
    client.get("/v2/users/x/notification_methods")
    found = sandbox.requests()
    assert found["total"] == 2
    assert found["counts"] == {
        "GET /v2/incidents": 1,
        "GET /v2/users/{user_id}/notification_methods": 1,
    }
    first, second = found["log"]
    assert (first["path"], first["query"]) == ("/v2/incidents", "page_size=2&nonsense=1")
    assert (first["status"], second["status"]) == (200, 404)
    assert first["unknown"] == ["nonsense"]
    sandbox.reset()
    assert sandbox.requests()["total"] == 0


def test_strict_rejects_unknown_parameters(start: Start) -> None:
    _, client = start(strict=True, incidents=3)
    assert client.get("/v2/incidents", nonsense="1").status_code == 422
    assert client.get("/v2/incidents", page_size=1).status_code == 200


def test_records_can_be_put_and_deleted(start: Start) -> None:
    sandbox, client = start(incidents=5)
    incident = sandbox.records("incidents")[2]
    sandbox.put("incidents", [{**incident, "name": "renamed"}])
    new = {**incident, "id": "brand-new", "updated_at": "2026-03-01T00:00:00Z"}
    sandbox.put("incidents", [new])
    found = {i["id"]: i for i in sandbox.records("incidents")}
    assert len(found) == 6
    assert found[incident["id"]]["name"] == "renamed"
    sessions = {"incident_id": "brand-new"}
    assert client.get("/v2/call_sessions", **sessions).status_code == 200
    assert sandbox.delete("incidents", ["brand-new", "unknown"]) == 1
    assert client.get("/v2/call_sessions", **sessions).status_code == 404
    field = sandbox.records("custom_fields")[0]["id"]
    parent = {"custom_field_id": field}
    sandbox.put("custom_field_options", [{"id": "o", "value": "v", "sort_key": 1, **parent}])
    options = client.all("/v1/custom_field_options", "custom_field_options", **parent)
    assert options[-1]["id"] == "o"


def test_a_replaced_action_keeps_its_incidents_mode(start: Start) -> None:
    sandbox, client = start(incidents=100)
    hidden = client.all("/v3/actions", "actions", incident_mode="test")
    sandbox.put("actions", hidden)
    assert client.all("/v3/actions", "actions", incident_mode="test") == hidden
    ids = {r["id"] for r in client.all("/v3/actions", "actions", page_size=250)}
    assert ids.isdisjoint(r["id"] for r in hidden)


def test_latency_delays_each_response(start: Start) -> None:
    _, client = start(incidents=3, latency=80.0)
    response = client.get("/v1/severities")
    assert 0.08 <= response.elapsed.total_seconds() < 1.0


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v2/incidents", {"severity[gte]": "x"}),
        ("/v2/incidents", {"custom_field[x][one_of]": "y"}),
        ("/v1/maintenance_windows", {"status": "active"}),
        ("/v2/glossary_entries", {"search": "x"}),
    ],
)
def test_an_unimplemented_filter_is_a_501(client: Client, path: str, query: dict[str, str]) -> None:
    assert client.get(path, **query).status_code == 501


def test_filter_mode_any_combines_filters_with_or(client: Client) -> None:
    ids = [s["id"] for s in client.ok("/v1/severities")["severities"]]
    kinds = [t["id"] for t in client.ok("/v1/incident_types")["incident_types"]]
    query = {"severity[one_of]": ids[1], "incident_type[one_of]": kinds[0]}
    everything = client.all("/v2/incidents", "incidents", page_size=250)
    either = [
        i for i in everything if i.get("severity", {}).get("id") == ids[1] or i["incident_type"]["id"] == kinds[0]
    ]
    assert client.all("/v2/incidents", "incidents", page_size=250, filter_mode="any", **query) == either
    both = client.all("/v2/incidents", "incidents", page_size=250, **query)
    assert 0 < len(both) < len(either) < len(everything)


def test_notes_on_alert_groups_are_listed_by_group(start: Start) -> None:
    sandbox, client = start(alerts=200)
    alerts = client.all("/v2/alerts", "alerts", page_size=50)
    groups = {group for alert in alerts for group in alert.get("alert_group_ids", ())}
    assert any(len(alert.get("alert_group_ids", ())) == 2 for alert in alerts)
    notes = [note for group in groups for note in client.all("/v1/alert_notes", "alert_notes", alert_group_id=group)]
    assert notes
    assert all(note["alert_group_id"] in groups and "alert_id" not in note for note in notes)
    group = notes[0]["alert_group_id"]
    sandbox.put("alert_group_notes", [{**notes[0], "id": "01ZZNEWNOTE"}], {"alert_group_id": group})
    assert "01ZZNEWNOTE" in {note["id"] for note in client.ok("/v1/alert_notes", alert_group_id=group)["alert_notes"]}
    assert client.get("/v1/alert_notes", alert_group_id="01NOTAGROUP").status_code == 404
    assert client.get("/v1/alert_notes", alert_group_id=group, alert_id=alerts[0]["id"]).status_code == 422
