"""Answers that are not known of the real API: an option chooses each."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import Options, Sandbox
from sandbox.contract import Contract
from sandbox.sample_requests import sample_parameters
from sandbox.unknown_answers import ON_CALL

from .conftest import Client, Start
from .test_contract import request_for

WORKLOADS = "/v2/incident_participant_workloads"


@pytest.mark.parametrize("answer", ["403", "404"])
def test_every_list_of_on_call_can_be_refused(start: Start, answer: str) -> None:
    sandbox, client = start(incidents=3)
    requests = requests_of_on_call(sandbox)
    sandbox.config(on_call=answer)
    for path, query in requests:
        assert client.get(path, **query).status_code == int(answer), path
    assert client.get("/v2/users").status_code == 200


def test_every_list_of_on_call_can_be_empty(start: Start) -> None:
    sandbox, client = start(incidents=3)
    requests = requests_of_on_call(sandbox)
    sandbox.config(on_call="empty")
    for path, query in requests:
        if path.endswith("/download"):
            assert client.get(path, **query).text.count("\n") == 1, path  # The header.
        elif path != "/v2/schedule_entries" and "paging_provider" not in path:
            body = client.ok(path, **query)
            assert [value for value in body.values() if isinstance(value, list)] == [[]], path
    sandbox.config(on_call="available")
    assert client.ok("/v2/schedules")["schedules"]


def requests_of_on_call(sandbox: Sandbox) -> list[tuple[str, dict[str, Any]]]:
    """A request to each list and object of On-call."""
    endpoints = Contract().endpoints
    return [request_for(endpoints[name], sample_parameters(sandbox, endpoints[name])[0]) for name in sorted(ON_CALL)]


@pytest.mark.parametrize("answer", ["available", "403", "empty"])
def test_the_workload_of_a_private_incident(start: Start, answer: str) -> None:
    sandbox, client = start(private_workloads=answer)
    incidents = {incident["visibility"]: incident["id"] for incident in sandbox.records("incidents")}
    assert workload(client, incidents["public"])
    response = client.get(WORKLOADS, incident_id=incidents["private"])
    if answer == "403":
        assert response.status_code == 403
        assert response.json()["errors"][0]["metadata"] == {"scope": "incident_workloads.view_private"}
    else:
        assert bool(workload(client, incidents["private"])) is (answer == "available")


def workload(client: Client, incident_id: str) -> list[Any]:
    records: list[Any] = client.ok(WORKLOADS, incident_id=incident_id)["incident_participant_workloads"]
    return records


def test_the_mode_stream_can_be_refused(start: Start) -> None:
    sandbox, client = start(incidents=10)
    query = {"mode[one_of]": ["standard", "stream"]}
    assert client.ok("/v2/incidents", **query)["incidents"]
    assert client.ok("/v2/incidents", **{"mode[one_of]": "stream"})["incidents"] == []
    sandbox.config(stream_mode="422")
    assert client.get("/v2/incidents", **query).status_code == 422
    assert client.get("/v2/incidents", **{"mode[one_of]": "standard"}).status_code == 200
    assert client.get("/v3/actions", incident_mode="stream").status_code == 200


def test_rejects_an_answer_that_does_not_exist(start: Start) -> None:
    sandbox, _ = start(incidents=1)
    with pytest.raises(ValueError, match="on_call: 'sometimes' is not one of available, 403, 404, empty"):
        sandbox.config(on_call="sometimes")
    with pytest.raises(ValueError, match="stream_mode"):
        Options(stream_mode="500")
