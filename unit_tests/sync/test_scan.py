"""Scans of lists: the order of their pages."""

import asyncio
from datetime import UTC, datetime

import pytest

from source_incident.api import RequestError
from source_incident.cancellation import CancellationToken
from source_incident.streams.alerts import Alerts
from source_incident.sync import partitions
from source_incident.sync.emitter import Emitter
from source_incident.sync.events import Finished, Records
from source_incident.sync.plan import plan_scans, plan_trees
from source_incident.sync.reader import PageReader
from source_incident.sync.scan import ListScanner
from source_incident.sync.workers import Workers
from unit_tests.api.server import ScriptedServer, answer
from unit_tests.sync.account import Account, destination
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


# Lists that the API does not divide


@pytest.fixture
def divide_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "PAGES_PER_DIVISION", 3)
    monkeypatch.setattr(partitions, "MIN_PAGES_LEFT", 1e-9)


def long_list(account: Account, newest_first: bool) -> list[str]:
    for number in range(60):
        account.add("/v2/alerts", f"a{number}")
        account.wait(hours=3)
    if newest_first:
        account.lists["/v2/alerts"].reverse()
    return [record["id"] for record in account.lists["/v2/alerts"]]


def spans(account: Account) -> set[str]:
    return {name for _, params in account.requests for name in params if name.startswith("created_at")}


@pytest.mark.usefixtures("divide_soon")
@pytest.mark.parametrize("newest_first", [True, False])
def test_divides_a_long_list(account: Account, newest_first: bool) -> None:
    ids = long_list(account, newest_first)
    run = destination(account, "alerts", num_workers=4).sync()
    assert set(run.ids("alerts")) == set(ids)
    assert spans(account)
    assert run.version("alerts") is not None


@pytest.mark.usefixtures("divide_soon")
@pytest.mark.parametrize("operator", ["gte", "lte", "date_range"])
@pytest.mark.parametrize("newest_first", [True, False])
def test_reads_a_list_as_a_whole_where_the_api_refuses_a_filter_of_its_parts(
    account: Account, newest_first: bool, operator: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = long_list(account, newest_first)
    account.fault = lambda path, params: (
        RequestError("422", status=422) if f"created_at[{operator}]" in params else None
    )
    run = destination(account, "alerts", num_workers=4).sync()
    assert run.is_finished("alerts")
    assert set(run.ids("alerts")) == set(ids)
    if f"created_at[{operator}]" in spans(account):
        assert [line for line in caplog.messages if "read as a whole" in line]
    else:
        assert operator == "date_range"


@pytest.mark.usefixtures("divide_soon")
@pytest.mark.parametrize("cursor", [True, False])
def test_a_divided_list_that_is_killed_goes_on_with_the_rest_of_its_parts(account: Account, cursor: bool) -> None:
    ids = long_list(account, newest_first=True)
    has_parts = 0
    for kill_after in range(3, 60, 4):
        to = destination(account, "alerts", cursor=cursor, num_workers=4, full_read_days=0)
        to.rows["alerts"] = {"gone": ({"id": "gone"}, 1)}
        killed = to.sync(kill_after)
        state = to.states.get("alerts", {})
        has_parts += "parts" in state.get("resume", {})
        resumed = to.sync()
        assert to.ids("alerts") == set(ids), kill_after
        if state.get("resume"):
            assert len(killed.record_versions("alerts") | resumed.record_versions("alerts")) == 1
            assert len(resumed.ids("alerts")) < len(ids)
    assert has_parts >= 2
