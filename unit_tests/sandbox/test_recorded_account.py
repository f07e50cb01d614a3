"""A recorded account is served with unchanged values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Start

SYNC = Path(__file__).parents[3] / "shared" / "reference" / "singer-tap" / "sync"

ATTACHMENT = {"id": "at1", "resource": {"title": "a graph"}}
UPDATE = {"id": "up2", "incident_id": "in1", "message": None, "created_at": "2024-01-02T00:00:00Z"}
INCIDENT = {
    "id": "in1",
    "name": "first",
    "created_at": "2024-01-01T00:00:00Z",
    "updated_at": "2024-01-03T00:00:00Z",
    "attachments": [ATTACHMENT],
    "updates": [{**UPDATE, "id": "up1"}, UPDATE],
    "severity": None,
}


def write(directory: Path, **lists: Any) -> str:
    for name, records in lists.items():
        (directory / f"{name}.json").write_text(json.dumps(records))
    return str(directory)


def test_nested_records_are_served_as_lists_of_their_own(tmp_path: Path, start: Start) -> None:
    known = {**UPDATE, "message": "from its own file"}
    _, client = start(data=write(tmp_path, incidents=[INCIDENT], incident_updates=[known]))
    [incident] = client.ok("/v2/incidents")["incidents"]
    assert incident == {k: v for k, v in INCIDENT.items() if k not in ("attachments", "updates")}
    updates = client.all("/v2/incident_updates", "incident_updates")
    assert [(u["id"], u["message"]) for u in updates] == [
        ("up2", "from its own file"),
        ("up1", None),
    ]
    found = client.ok("/v1/incident_attachments", incident_id="in1")["incident_attachments"]
    assert found == [{"incident_id": "in1", **ATTACHMENT}]


def test_a_list_without_a_file_is_empty(tmp_path: Path, start: Start) -> None:
    _, client = start(data=write(tmp_path, incidents=[INCIDENT]))
    for path, name in (("/v2/users", "users"), ("/v1/severities", "severities")):
        assert client.ok(path)[name] == []
    assert client.ok("/v2/call_sessions", incident_id="in1")["call_sessions"] == []
    participants = client.ok("/v2/incident_participants", incident_id="in1")
    assert participants == {"incident_participants": {"active": [], "passive": []}}
    assert client.get("/v1/ip_allowlists").status_code == 404


def test_an_alert_without_updated_at_is_filtered_by_created_at(tmp_path: Path, start: Start) -> None:
    alerts = [{"id": f"al{year}", "created_at": f"{year}-06-01T00:00:00Z"} for year in (2021, 2023)]
    _, client = start(data=write(tmp_path, alerts=alerts))
    query = {"page_size": 50, "updated_at[gte]": "2022-01-01T00:00:00Z"}
    assert [a["id"] for a in client.ok("/v2/alerts", **query)["alerts"]] == ["al2023"]


def test_actions_have_the_mode_of_their_incident(tmp_path: Path, start: Start) -> None:
    incidents = [{**INCIDENT, "mode": "test"}]
    actions = [{"id": "ac1", "incident_id": "in1", "created_at": "2024-01-01T00:00:00Z"}]
    _, client = start(data=write(tmp_path, incidents=incidents, actions=actions))
    assert client.ok("/v3/actions")["actions"] == []
    assert client.ok("/v3/actions", incident_mode="test")["actions"] == actions


@pytest.mark.parametrize("text", ["not json", '{"id": 1}', "[1, 2]"])
def test_rejects_a_file_that_is_not_an_array_of_objects(tmp_path: Path, start: Start, text: str) -> None:
    (tmp_path / "alerts.json").write_text(text)
    with pytest.raises(ValueError, match=r"alerts\.json"):
        start(data=str(tmp_path))


def test_serves_every_record_of_the_recorded_account(start: Start) -> None:
    if not SYNC.is_dir():
        pytest.skip("../shared/reference/singer-tap/sync, the recorded account, is missing")
    _, client = start(data=str(SYNC))

    def recorded(name: str) -> Any:
        return json.loads((SYNC / f"{name}.json").read_text())

    for path, name in (
        ("/v1/severities", "severities"),
        ("/v2/custom_fields", "custom_fields"),
        ("/v2/incident_updates", "incident_updates"),
    ):
        assert client.all(path, name) == recorded(name)
    assert by_id(client.all("/v2/alerts", "alerts", page_size=1)) == by_id(recorded("alerts"))
    options = [
        option
        for field in recorded("custom_fields")
        for option in client.all(
            "/v1/custom_field_options",
            "custom_field_options",
            page_size=5,
            custom_field_id=field["id"],
        )
    ]
    assert by_id(options) == by_id(recorded("custom_field_options"))
    incidents = recorded("incidents")
    for incident in incidents:
        incident.pop("attachments"), incident.pop("updates")
    assert by_id(client.all("/v2/incidents", "incidents")) == by_id(incidents)


def by_id(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda record: str(record["id"]))
