"""A sync: the order of its events, its outcomes, its cancellation."""

import logging
import threading
import time

import pytest

from source_incident.api import AuthenticationError, UnreachableError
from source_incident.cancellation import CancellationToken
from source_incident.sync import Event, Failed, Finished, Interrupted, Records, Started, Sync
from unit_tests.api.server import FORBIDDEN, ScriptedServer, answer
from unit_tests.sync.events import check_order, make_client, make_streams, select


def new_sync(server: ScriptedServer | str, *names: str, cancellation: CancellationToken | None = None) -> Sync:
    client, config = make_client(server if isinstance(server, str) else server.url, num_workers=4)
    streams = make_streams(client, config)
    selected = [select(streams[name]) for name in names]
    return Sync(client, config, streams, selected, cancellation or CancellationToken())


def fields_with_a_forbidden_one(path: str) -> bytes:
    """Twenty custom fields, of which the options of one may not be read."""
    if path.startswith("/v2/custom_fields"):
        return answer({"custom_fields": [{"id": f"f{number}"} for number in range(20)]})
    if "custom_field_id=f7" in path:
        return answer({}, 422)
    return answer({"custom_field_options": [{"id": path[-12:]}], "pagination_meta": {}})


def test_no_record_follows_the_failure_of_a_stream_that_many_tasks_read() -> None:
    with ScriptedServer(default=fields_with_a_forbidden_one) as server:
        events: list[Event] = []
        for event in new_sync(server, "custom_field_options", "custom_fields").run():
            time.sleep(0.01)
            events.append(event)
    check_order(events)
    assert next(event for event in events if isinstance(event, Failed)).stream == "custom_field_options"
    assert [event.stream for event in events if isinstance(event, Finished)] == ["custom_fields"]
    assert sum(len(event.records) for event in events if isinstance(event, Records)) >= 20


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (None, UnreachableError)])
def test_an_error_that_holds_for_all_streams_fails_each_of_them_once(status: int | None, kind: type[Exception]) -> None:
    names = ("severities", "incident_types", "custom_field_options")
    with ScriptedServer(default=lambda _: answer({}, status) if status else b"") as server:
        events = list(new_sync(server, *names).run())
    check_order(events)
    assert sorted(event.stream for event in events if isinstance(event, Failed)) == sorted(names)
    assert all(isinstance(event.error, kind) for event in events if isinstance(event, Failed))
    assert not [event for event in events if isinstance(event, Records | Finished)]


def test_cancellation_while_a_request_is_in_flight_interrupts_the_sync() -> None:
    token = CancellationToken()
    with ScriptedServer() as server:
        server.add(lambda _: server.wait(5))
        threading.Timer(0.3, token.cancel).start()
        started_at = time.monotonic()
        with pytest.raises(Interrupted):
            list(new_sync(server, "severities", cancellation=token).run())
        assert time.monotonic() - started_at < 3
    assert len(server.requests) == 1


def test_emits_no_event_after_cancellation() -> None:
    token = CancellationToken()
    with ScriptedServer(default=fields_with_a_forbidden_one) as server:
        events = new_sync(server, "custom_fields", "custom_field_options", cancellation=token).run()
        assert isinstance(next(events), Started)
        token.cancel()
        with pytest.raises(Interrupted):
            next(events)


def test_the_end_of_a_sync_cancels_its_requests_and_not_the_run() -> None:
    token = CancellationToken()
    with ScriptedServer(default=lambda _: answer({"severities": [{"id": "1"}]})) as server:
        sync = new_sync(server, "severities", cancellation=token)
        events = list(sync.run())
    assert [type(event) for event in events] == [Started, Records, Finished]
    assert sync._client.cancellation.is_cancelled
    assert not token.is_cancelled
    token.cancel()  # The loop of the sync is closed. Its callback was removed.


def test_a_caller_that_stops_pulling_ends_the_sync() -> None:
    with ScriptedServer(default=fields_with_a_forbidden_one) as server:
        sync = new_sync(server, "custom_fields", "custom_field_options")
        events = sync.run()
        next(events)
        events.close()  # type: ignore[attr-defined]
        assert sync._client.cancellation.is_cancelled
        count = len(server.requests)
        time.sleep(0.2)
        assert len(server.requests) <= count + 4, "only requests in flight ended"


@pytest.mark.parametrize("status", [200, 403])
def test_a_sync_of_incidents_alone_checks_that_the_filter_names_every_status_category(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    statuses = {"incident_statuses": [{"id": "s1", "category": "live"}, {"id": "s2", "category": "parked"}]}

    def answers(path: str) -> bytes:
        if path.startswith("/v1/incident_statuses"):
            return answer(statuses if status == 200 else FORBIDDEN, status)
        return answer({"incidents": [], "pagination_meta": {}})

    caplog.set_level(logging.INFO, "airbyte")
    with ScriptedServer(default=answers) as server:
        events = list(new_sync(server, "incidents").run())
    assert [event.stream for event in events if isinstance(event, Finished)] == ["incidents"]
    messages = "\n".join(caplog.messages)
    assert ("unknown category 'parked'" in messages) == (status == 200)
    assert ("incident_statuses could not be checked" in messages) == (status == 403)
    assert sum("/v1/incident_statuses" in line for line in server.lines()) == 1


def test_a_sync_of_the_incident_statuses_needs_no_further_request_for_their_categories() -> None:
    with ScriptedServer(default=lambda path: answer({path[4:].partition("?")[0]: [], "pagination_meta": {}})) as server:
        list(new_sync(server, "incidents", "incident_statuses").run())
    assert sum("/v1/incident_statuses" in line for line in server.lines()) == 1
