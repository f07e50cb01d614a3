"""The threads that make requests."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from source_incident.api import Cancelled
from source_incident.cancellation import CancellationToken

T = TypeVar("T")


class Workers:
    """A fixed number of request threads. Waiting calls get a thread by priority, then in order.

    Args:
        count: how many threads.
        cancellation: ends the wait for an answer when it is cancelled.
    """

    def __init__(self, count: int, cancellation: CancellationToken) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="request")
        self._single = count == 1
        self._cancellation = cancellation
        self._free = count
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    async def run(self, priority: int, call: Callable[[], T], is_needed: Callable[[], bool]) -> T | None:
        """Run a call in a thread.

        Args:
            priority: lower numbers first.
            call: the call.
            is_needed: asked once a thread is free.

        Returns:
            The call's result; None: it was no longer needed.
        """
        if self._free == 0:
            free_thread: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (priority, next(self._order), free_thread))
            try:
                await free_thread
            except asyncio.CancelledError:
                if free_thread.done() and not free_thread.cancelled():
                    self._release()
                raise
        else:
            self._free -= 1
        try:
            if not is_needed():
                return None
            return await self._execute(call)
        finally:
            self._release()

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _execute(self, call: Callable[[], T]) -> T:
        if self._single:
            return self._run_blocking(call)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def _run_blocking(self, call: Callable[[], T]) -> T:
        """Run a call while the coordinator waits: with one worker, every run takes the same course."""
        answer = self._executor.submit(call)
        while not self._cancellation.is_cancelled:
            if wait([answer], timeout=0.1).done:
                return answer.result()
        raise Cancelled

    def _release(self) -> None:
        while self._waiting:
            _, _, free_thread = heapq.heappop(self._waiting)
            if not free_thread.done():
                free_thread.set_result(None)
                return
        self._free += 1
