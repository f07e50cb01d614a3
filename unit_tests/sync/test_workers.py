"""The request threads: priorities, errors, cancellation."""

import asyncio
import threading
import time

import pytest

from source_incident.api import Cancelled
from source_incident.cancellation import CancellationToken
from source_incident.sync.tasks import TaskGroup
from source_incident.sync.workers import Workers


def test_waiting_calls_run_by_priority_then_in_order() -> None:
    async def run() -> list[str]:
        workers = Workers(2, CancellationToken())
        release = threading.Event()
        order: list[str] = []
        blocked = [asyncio.create_task(workers.run(0, release.wait, lambda: True)) for _ in range(2)]
        await asyncio.sleep(0.05)
        names = [(1, "child 1"), (0, "list 1"), (1, "child 2"), (0, "list 2")]

        def is_needed(name: str) -> bool:
            order.append(name)
            return False

        waiting = [
            asyncio.create_task(workers.run(priority, lambda: None, lambda name=name: is_needed(name)))
            for priority, name in names
        ]
        await asyncio.sleep(0.05)
        release.set()
        await asyncio.gather(*blocked, *waiting)
        workers.close()
        return order

    assert asyncio.run(run()) == ["list 1", "list 2", "child 1", "child 2"]


@pytest.mark.parametrize("count", [1, 2])
def test_returns_the_result_or_raises_the_error_of_a_call(count: int) -> None:
    def fail() -> None:
        raise ValueError("mine")

    async def run() -> None:
        workers = Workers(count, CancellationToken())
        assert await workers.run(0, lambda: 5, lambda: True) == 5
        assert await workers.run(0, lambda: 5, lambda: False) is None
        with pytest.raises(ValueError, match="mine"):
            await workers.run(0, fail, lambda: True)
        assert await workers.run(0, lambda: 6, lambda: True) == 6
        workers.close()

    asyncio.run(run())


def test_cancellation_ends_the_wait_of_a_single_worker() -> None:
    async def run() -> None:
        token = CancellationToken()
        release = threading.Event()
        workers = Workers(1, token)
        threading.Timer(0.1, token.cancel).start()
        with pytest.raises(Cancelled):
            await workers.run(0, lambda: release.wait(5), lambda: True)
        release.set()
        workers.close()

    started_at = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started_at < 3


def test_a_cancelled_task_gives_its_thread_back() -> None:
    async def run() -> None:
        workers = Workers(2, CancellationToken())
        release = threading.Event()
        blocked = [asyncio.create_task(workers.run(0, release.wait, lambda: True)) for _ in range(2)]
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(workers.run(0, lambda: None, lambda: True)) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        release.set()
        await asyncio.gather(*blocked)
        assert [await workers.run(0, lambda: 5, lambda: True) for _ in range(3)] == [5, 5, 5]
        workers.close()

    asyncio.run(asyncio.wait_for(run(), 5))


def test_a_task_group_raises_its_first_error_as_it_is() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    async def run() -> None:
        async with TaskGroup() as group:
            group.create_task(fail())
            group.create_task(asyncio.sleep(60))

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(run())
