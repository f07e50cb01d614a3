"""Threads that make the requests, and awaiting many things at once."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from source_incident.api import Stopped

T = TypeVar("T")


class Workers:
    """The threads that make the requests; whoever waits is served by priority, then in order."""

    def __init__(self, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="request")
        self._alone = count == 1
        self._stopped = False
        self._free = count
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    async def run(self, priority: int, call: Callable[[], T], wanted: Callable[[], bool]) -> T | None:
        """What the call gives; None: by the time a worker was free it was not wanted any more."""
        loop = asyncio.get_running_loop()
        if self._free == 0:
            turn: asyncio.Future[None] = loop.create_future()
            heapq.heappush(self._waiting, (priority, next(self._order), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._release()
                raise
        else:
            self._free -= 1
        try:
            if not wanted():
                return None
            if self._alone:
                return self._run_alone(call)
            return await loop.run_in_executor(self._executor, call)
        finally:
            self._release()

    def stop(self) -> None:
        """Lets nobody wait for an answer any more."""
        self._stopped = True

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run_alone(self, call: Callable[[], T]) -> T:
        """With one worker nothing else goes on meanwhile, so that every run takes the same course."""
        answer = self._executor.submit(call)
        while not self._stopped:
            if wait([answer], timeout=0.1).done:
                return answer.result()
        raise Stopped

    def _release(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


async def together(work: Iterable[Any]) -> None:
    """Awaits everything; the first failure cancels the rest."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if any(not task.done() for task in tasks):
            await asyncio.gather(*tasks, return_exceptions=True)
