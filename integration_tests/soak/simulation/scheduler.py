"""Virtual time and a seeded scheduler. A seed decides every interleaving."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from source_incident.api import Cancelled
from source_incident.cancellation import CancellationToken
from source_incident.sync.workers import Workers

T = TypeVar("T")

START = datetime(2024, 3, 1, tzinfo=UTC)


class VirtualClock:
    """The time of the simulated world. It moves only when the simulation moves it.

    Attributes:
        seconds: seconds since `START`, by the server's clock.
        skew: how far the connector's clock is ahead of the server's.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.skew = timedelta(0)

    @property
    def server_time(self) -> datetime:
        # Milliseconds, as in the API's timestamps.
        return START + timedelta(milliseconds=int(self.seconds * 1000))

    def local_time(self) -> datetime:
        return self.server_time + self.skew

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class DeadlockError(Exception):
    """Nothing is left to run, and the sync has not ended."""


class _Selector:
    """Waits by moving the clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise DeadlockError("the sync waits for something that never happens")
        if timeout > 0:
            self._clock.advance(timeout)
        return []


class _Task(asyncio.Task[T]):
    """A task whose place in a set does not depend on its address in memory."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other

    @classmethod
    def restart_numbers(cls) -> None:
        cls._numbers = itertools.count()


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T], **kwargs: Any) -> asyncio.Task[T]:
    return _Task(coroutine, loop=loop, **kwargs)


class SimulatedLoop(asyncio.BaseEventLoop):
    """An event loop with virtual time.

    Args:
        clock: the time.
        random: decides the order of callbacks that are ready.
        shuffles: run ready callbacks in a random order; otherwise in theirs.

    Attributes:
        problem: what the sync did wrong; None: nothing.
    """

    problem: str | None = None

    _selector: _Selector
    _ready: deque[Any]
    _clock_resolution: float

    def __init__(self, clock: VirtualClock, random: Random, shuffles: bool) -> None:
        super().__init__()
        self._clock = clock
        self._random = random
        self._shuffles = shuffles
        self._selector = _Selector(clock)
        self._clock_resolution = 0.0005
        self.set_task_factory(_make_task)  # type: ignore[arg-type]
        self.set_exception_handler(lambda *_: None)
        _Task.restart_numbers()

    def time(self) -> float:
        return self._clock.seconds

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def close(self) -> None:
        for task in sorted(asyncio.all_tasks(self), key=hash):
            if not task.cancelling():
                self.problem = f"a task outlives the sync: {task.get_coro().__qualname__}"  # type: ignore[union-attr]
        super().close()

    def _run_once(self) -> None:
        if self._shuffles and len(self._ready) > 1:
            ready = list(self._ready)
            self._random.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        try:
            super()._run_once()  # type: ignore[misc]
        except DeadlockError as error:
            # It can be raised where a generator is closed, which hides it.
            self.problem = str(error)
            raise


class SimulatedWorkers(Workers):
    """Workers without threads. A request and its answer each take a random time.

    Args:
        count: how many requests may be made concurrently.
        cancellation: the run's token.
        clock: the time.
        random: decides the times.
        latency: the mean time of an answer, in seconds.
    """

    def __init__(
        self, count: int, cancellation: CancellationToken, clock: VirtualClock, random: Random, latency: float
    ) -> None:
        self._single = count == 1
        self._cancellation = cancellation
        self._free = count
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._clock = clock
        self._random = random
        self._latency = latency

    async def _execute(self, call: Callable[[], T]) -> T:
        if self._single:
            self._clock.advance(self._delay())
            try:
                return call()
            finally:
                self._clock.advance(self._delay())
        await asyncio.sleep(self._delay())
        if self._cancellation.is_cancelled:
            raise Cancelled
        try:
            answer = call()
        except Exception:
            await asyncio.sleep(self._delay())
            raise
        await asyncio.sleep(self._delay())
        return answer

    def close(self) -> None:
        pass

    def _delay(self) -> float:
        factor = 10 if self._random.random() < 0.1 else 1
        return self._random.uniform(0, self._latency * factor)
