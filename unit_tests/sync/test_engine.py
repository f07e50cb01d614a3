"""What a sync owes its caller, whatever else happens meanwhile."""

import asyncio
import sqlite3

import pytest

from source_incident.api import Client, TransientError
from source_incident.config import Config
from source_incident.streams.alerts import Alerts
from source_incident.sync.engine import Sync
from source_incident.sync.events import Event, Failed, Finished, Records, Started
from source_incident.sync.nested import NestedRows, NoRoomError
from source_incident.sync.plan import Selected
from source_incident.sync.reader import Reader
from source_incident.sync.workers import Workers
from unit_tests.api.server import ScriptedServer, answer


def test_a_failure_is_told_also_where_what_found_it_is_cancelled() -> None:
    config = Config.parse({"api_key": "k" * 20})
    client = Client(endpoint=config.endpoint, api_key=config.api_key, user_agent="test")
    item = Selected(Alerts(client, config), incremental=False)
    sync = Sync(client, config, {"alerts": item.stream}, [item])

    async def told() -> list[Event]:
        sync._events, sync._turn = asyncio.Queue(1), asyncio.Lock()
        await sync._events.put(Started("users"))
        task = asyncio.create_task(sync._fail(item, TransientError("503")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        found = [await asyncio.wait_for(sync._events.get(), 5) for _ in range(3)]
        with pytest.raises(asyncio.CancelledError):
            await task
        return found

    events = asyncio.run(told())
    assert [type(event) for event in events] == [Started, Started, Failed]
    assert events[-1].stream == "alerts"


def test_rows_that_the_temporary_directory_does_not_take_end_what_waits_for_them() -> None:
    rows = NestedRows()
    rows._opened().execute("PRAGMA max_page_count = 3")
    rows.add({"incident_id": f"{number}", "id": "u", "text": "t" * 500} for number in range(500))
    assert isinstance(rows.error, NoRoomError)
    assert "TMPDIR" in rows.error.message
    assert rows.complete.is_set()
    assert not isinstance(rows.error, sqlite3.Error)
    rows.close()


def test_the_pages_of_a_list_are_handed_out_in_their_order() -> None:
    """Also the first two, of which the first has the stream's start to tell, while the caller takes nothing."""
    pages = [answer({"alerts": [{"id": f"{n}"}], "pagination_meta": {"after": f"{n}"}}) for n in range(3)]
    with ScriptedServer(*pages, answer({"alerts": [], "pagination_meta": {}})) as server:
        config = Config.parse({"api_key": "k" * 20, "endpoint": server.url})
        client = Client(endpoint=config.endpoint, api_key=config.api_key, user_agent="test")
        item = Selected(Alerts(client, config), incremental=False)
        sync = Sync(client, config, {"alerts": item.stream}, [item])
        came: list[str] = []

        async def take(main: "asyncio.Task[None]") -> None:
            await sync._events.put(Finished("users"))  # the queue has one place, and it is taken
            while not main.done() or not sync._events.empty():
                await asyncio.sleep(0.05)
                event = sync._events.get_nowait()
                if isinstance(event, Records):
                    came.extend(record["id"] for record in event.records)

        async def read() -> None:
            sync._events, sync._turn = asyncio.Queue(1), asyncio.Lock()
            sync._reader = Reader(Workers(2))
            main = asyncio.create_task(sync._read_all())
            await asyncio.wait_for(take(main), 20)
            await main

        asyncio.run(read())
    assert came == ["0", "1", "2"]
