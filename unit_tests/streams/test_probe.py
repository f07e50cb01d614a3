"""Probes: one request per list, to learn whether the key may read it."""

from collections.abc import Mapping
from typing import Any

import pytest

from source_incident.api import ForbiddenError
from source_incident.streams import AlertNotes, CallTranscriptEntries, Severities, Users
from source_incident.streams.base import IncidentStream
from source_incident.streams.probe import Probes
from unit_tests.streams.fakes import FakeClient, make


def probes_of(client: FakeClient) -> Probes:
    return Probes(lambda kind: make(kind, client))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (Users, ("/v2/users", {"include_inactive": "true", "page_size": 1})),
        (Severities, ("/v1/severities", {})),
    ],
)
def test_a_probe_requests_one_record(stream: type[IncidentStream], expected: tuple[str, dict[str, Any]]) -> None:
    client = FakeClient(lambda *_: {stream.records_key: []})
    probes_of(client).probe(stream)
    assert client.requests == [expected]


def test_a_probe_of_a_child_requests_the_list_of_its_first_parent() -> None:
    def answers(path: str, query: Mapping[str, Any]) -> Any:
        assert query["page_size"] == 1
        if path == "/v2/alerts":
            return {"alerts": [{"id": "a1"}, {"id": "a2"}]}
        return {"alert_notes": []}

    client = FakeClient(answers)
    probes_of(client).probe(AlertNotes)
    assert [path for path, _ in client.requests] == ["/v2/alerts", "/v1/alert_notes"]
    assert client.requests[1][1]["alert_id"] == "a1"


def test_a_probe_of_a_child_without_parents_requests_the_parents_only() -> None:
    client = FakeClient(lambda path, _: {"incidents": []} if path == "/v2/incidents" else {"call_sessions": []})
    probes_of(client).probe(CallTranscriptEntries)
    assert [path for path, _ in client.requests] == ["/v2/incidents"]


def test_probes_of_a_parent_and_its_children_share_its_answer() -> None:
    def answers(path: str, _: Mapping[str, Any]) -> Any:
        raise ForbiddenError(f"{path} is forbidden", status=403)

    client = FakeClient(answers)
    probes = probes_of(client)
    for stream in (CallTranscriptEntries, CallTranscriptEntries.parent, CallTranscriptEntries.root()):
        with pytest.raises(ForbiddenError, match="/v2/incidents"):
            probes.probe(stream)
    assert len(client.requests) == 1
