"""Scans of lists: the order of their pages."""

import asyncio
from datetime import UTC, datetime

from source_incident.cancellation import CancellationToken
from source_incident.streams.alerts import Alerts
from source_incident.sync.emitter import Emitter
from source_incident.sync.events import Finished, Records
from source_incident.sync.plan import plan_scans, plan_trees
from source_incident.sync.reader import PageReader
from source_incident.sync.scan import ListScanner
from source_incident.sync.workers import Workers
from unit_tests.api.server import ScriptedServer, answer
from unit_tests.sync.events import make_client, select


def test_emits_the_pages_of_a_list_in_order() -> None:
    """Includes the first two pages, while Started waits for the caller."""
    pages = [answer({"alerts": [{"id": f"{n}"}], "pagination_meta": {"after": f"{n}"}}) for n in range(3)]
    with ScriptedServer(*pages, answer({"alerts": [], "pagination_meta": {}})) as server:
        client, config = make_client(server.url)
        selected = select(Alerts(client, config))
        streams = {"alerts": selected.stream}
        selected.state.begin(datetime.now(UTC), 7, None)
        ids: list[str] = []

        async def take(emitter: Emitter, main: "asyncio.Task[None]") -> None:
            await emitter.queue.put(Finished("users"))  # the only place in the queue
            while not main.done() or not emitter.queue.empty():
                await asyncio.sleep(0.05)
                event = emitter.queue.get_nowait()
                if isinstance(event, Records):
                    ids.extend(record["id"] for record in event.records)

        async def read() -> None:
            emitter = Emitter()
            emitter.queue = asyncio.Queue(1)
            workers = Workers(2, CancellationToken())
            scanner = ListScanner(client, config, streams, PageReader(workers), emitter, {})
            (tree,) = plan_trees(streams, [selected])
            main = asyncio.create_task(scanner.read_tree(tree, plan_scans(tree, config)))
            await asyncio.wait_for(take(emitter, main), 20)
            await main
            workers.close()

        asyncio.run(read())
    assert ids == ["0", "1", "2"]
