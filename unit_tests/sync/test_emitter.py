"""The emitter: each stream's events come in a safe order, also while the caller takes none."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.api import ForbiddenError, TransientError
from source_incident.streams.alerts import Alerts
from source_incident.streams.incidents import Severities
from source_incident.sync.emitter import Emitter
from source_incident.sync.events import Checkpoint, Event, Failed, Finished, LeftOut, Records, Started
from source_incident.sync.plan import ListScan, SelectedStream
from source_incident.sync.state import Partition, StreamPosition
from unit_tests.sync.events import check_order, make_client, select

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT, CONFIG = make_client()

Steps = Coroutine[Any, Any, None]


def alerts(*, incremental: bool = False, optional: bool = False) -> SelectedStream:
    return select(Alerts(CLIENT, CONFIG), incremental=incremental, optional=optional)


def new_emitter() -> Emitter:
    """An emitter whose queue has one place, so that almost every event waits for the caller."""
    emitter = Emitter()
    emitter.queue = asyncio.Queue(1)
    return emitter


async def settle() -> None:
    """Let every task run until it waits for the caller."""
    for _ in range(20):
        await asyncio.sleep(0)


async def take_all(emitter: Emitter, tasks: list["asyncio.Task[None]"]) -> list[Event]:
    """Take events one at a time until the tasks have ended. All tasks run in between until they wait."""
    found: list[Event] = []
    while True:
        await settle()
        if emitter.queue.empty():
            break
        found.append(emitter.queue.get_nowait())
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    return found


def emitted(*steps: Callable[[Emitter], Steps]) -> list[Event]:
    """The events of tasks that start in this order, each when the ones before it wait, while the queue is full."""

    async def run() -> list[Event]:
        emitter = new_emitter()
        emitter.queue.put_nowait(Finished("other"))
        tasks = []
        for step in steps:
            tasks.append(asyncio.create_task(step(emitter)))
            await settle()
        other, *events = await take_all(emitter, tasks)
        assert other == Finished("other")
        return events

    return asyncio.run(run())


def page(stream: SelectedStream, number: int) -> Callable[[Emitter], Steps]:
    return lambda emitter: emitter.records(stream, [{"id": str(number)}])


def failure(stream: SelectedStream) -> Callable[[Emitter], Steps]:
    return lambda emitter: emitter.fail([stream], TransientError("503"))


# Order under backpressure


def test_started_comes_before_the_records_of_two_concurrent_pages() -> None:
    stream = alerts()
    events = emitted(page(stream, 1), page(stream, 2), lambda emitter: emitter.finish(stream))
    assert events == [
        Started("alerts"),
        Records("alerts", [{"id": "1"}]),
        Records("alerts", [{"id": "2"}]),
        Finished("alerts", {"__ab_full_refresh_sync_complete": True}),
    ]


def test_no_record_follows_a_failure_where_a_page_waits_while_the_stream_fails() -> None:
    stream = alerts()
    events = emitted(page(stream, 1), page(stream, 2), failure(stream), page(stream, 3))
    assert [type(event) for event in events] == [Started, Records, Records, Failed]


def test_no_event_follows_a_failure_where_started_waits_while_the_stream_fails() -> None:
    stream = alerts()
    events = emitted(
        lambda emitter: emitter.start(stream),
        failure(stream),
        lambda emitter: emitter.start(stream),
        lambda emitter: emitter.expect("alerts", 5),
        lambda emitter: emitter.finish(stream),
        failure(stream),
    )
    assert [type(event) for event in events] == [Started, Failed]


def test_no_event_follows_an_outcome_that_was_emitted() -> None:
    async def run() -> list[Event]:
        emitter = Emitter()
        stream = alerts()
        await emitter.fail([stream], TransientError("503"))
        found = [emitter.queue.get_nowait() for _ in range(2)]
        await emitter.start(stream)
        await emitter.expect("alerts", 5)
        await emitter.records(stream, [{"id": "1"}])
        await emitter.finish(stream)
        assert emitter.queue.empty()
        return found

    assert [type(event) for event in asyncio.run(run())] == [Started, Failed]


def test_an_event_that_waits_is_not_overtaken_by_a_later_one() -> None:
    """The caller takes an event, and another page comes before the task that waits for the place runs again."""

    async def run() -> list[Event]:
        emitter = new_emitter()
        stream = alerts()
        await emitter.start(stream)
        first = asyncio.create_task(emitter.records(stream, [{"id": "1"}]))
        await settle()
        assert emitter.queue.get_nowait() == Started("alerts")
        rest = asyncio.create_task(take_all(emitter, [first]))
        await emitter.records(stream, [{"id": "2"}])
        return await rest

    assert asyncio.run(run()) == [Records("alerts", [{"id": "1"}]), Records("alerts", [{"id": "2"}])]


ACTIONS = ("start", "records", "expect", "checkpoint", "fail", "finish")


@given(
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.booleans(), st.integers(0, 8)), min_size=1, max_size=12),
    st.lists(st.integers(0, 4), min_size=1, max_size=10),
    st.integers(1, 2),
)
def test_any_concurrent_events_come_in_a_safe_order(
    actions: list[tuple[str, bool, int]], pauses: list[int], places: int
) -> None:
    """Tasks for two streams start at any time and the caller takes events at any time."""
    streams = {False: alerts(incremental=True), True: select(Severities(CLIENT, CONFIG), optional=True)}

    async def act(emitter: Emitter, action: str, stream: SelectedStream, delay: int) -> None:
        for _ in range(delay):
            await asyncio.sleep(0)
        scan = ListScan(("",), lower_bounds={"alerts": {"": None}})
        match action:
            case "start":
                await emitter.start(stream)
            case "records":
                await emitter.records(stream, [{"id": "1"}])
            case "expect":
                await emitter.expect(stream.name, 5)
            case "checkpoint":
                await emitter.checkpoint([stream], scan, (), NOW, {})
            case "fail":
                await emitter.fail([stream], ForbiddenError("no scope"))
            case _:
                await emitter.finish(stream)

    async def run() -> list[Event]:
        emitter = Emitter()
        emitter.queue = asyncio.Queue(places)
        found: list[Event] = []

        async def take() -> None:
            for pause in itertools.cycle(pauses):
                found.append(await emitter.queue.get())
                for _ in range(pause):
                    await asyncio.sleep(0)

        caller = asyncio.create_task(take())
        await asyncio.gather(*(act(emitter, action, streams[other], delay) for action, other, delay in actions))
        for stream in streams.values():
            await emitter.finish(stream)
        await emitter.flush_failures()
        await settle()
        while not emitter.queue.empty():
            await settle()
        caller.cancel()
        return found

    events = asyncio.run(run())
    check_order(events)
    assert {event.stream for event in events} == {"alerts", "severities"}


# Failures


def test_emits_a_failure_although_the_task_that_found_it_is_cancelled() -> None:
    async def run() -> list[Event]:
        emitter = new_emitter()
        await emitter.queue.put(Started("users"))
        task = asyncio.create_task(emitter.fail([alerts()], TransientError("503")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        found = [await asyncio.wait_for(emitter.queue.get(), 5) for _ in range(3)]
        with pytest.raises(asyncio.CancelledError):
            await task
        return found

    events = asyncio.run(run())
    assert [type(event) for event in events] == [Started, Started, Failed]
    assert events[-1].stream == "alerts"


def test_leaves_out_an_optional_stream_that_the_key_may_not_read() -> None:
    stream = alerts(optional=True)
    error = ForbiddenError("the API key lacks a scope")
    assert emitted(lambda emitter: emitter.fail([stream], error), page(stream, 1)) == [
        LeftOut("alerts", "the API key lacks a scope")
    ]


@pytest.mark.parametrize("optional", [False, True])
def test_does_not_leave_out_a_stream_that_was_selected_or_whose_records_wait(optional: bool) -> None:
    stream = alerts(optional=optional)
    pages = [page(stream, 1)] if optional else []
    events = emitted(*pages, lambda emitter: emitter.fail([stream], ForbiddenError("no scope")))
    check_order(events)
    assert isinstance(events[-1], Failed)


# Checkpoints


def test_a_checkpoint_moves_the_position_and_carries_the_state() -> None:
    stream = alerts(incremental=True)
    scan = ListScan(("",), since="2025-12-31", lower_bounds={"alerts": {"": None}})
    events = emitted(
        lambda emitter: emitter.checkpoint([stream], scan, (Partition("01H"),), NOW, {}),
        lambda emitter: emitter.checkpoint([stream], scan, (), NOW, {}),
    )
    resume = {"after": "01H", "since": "2025-12-31", "began": "2026-01-01T00:00:00.000Z"}
    assert events == [
        Started("alerts"),
        Checkpoint("alerts", {"resume": resume}),
        Checkpoint("alerts", {"updated_at": "2026-01-01T00:00:00.000Z"}),
    ]


@pytest.mark.parametrize("reason", ["the stream has failed", "the start of the sync is unknown", "another scan"])
def test_a_checkpoint_does_not_move_the_position_of_a_stream_that_it_does_not_cover(reason: str) -> None:
    stream = alerts(incremental=True)
    scan = ListScan(("",), lower_bounds={} if reason == "another scan" else {"alerts": {"": None}})
    started_at = None if reason == "the start of the sync is unknown" else NOW
    failures = [failure(stream)] if reason == "the stream has failed" else []
    events = emitted(*failures, lambda emitter: emitter.checkpoint([stream], scan, (), started_at, {}))
    assert not [event for event in events if isinstance(event, Checkpoint)]
    assert stream.state.positions == {"": StreamPosition()}
