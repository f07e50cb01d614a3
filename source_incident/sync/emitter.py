"""Emits events in a safe order, and keeps the positions of the streams."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from source_incident.api import ForbiddenError, NotFoundError, PageMemory
from source_incident.protocol import FULL_REFRESH_COMPLETE_STATE
from source_incident.streams.page import Record
from source_incident.sync.events import Checkpoint, Event, Expected, Failed, Finished, LeftOut, Records, Started
from source_incident.sync.plan import ListScan, SelectedStream
from source_incident.sync.state import Partition

# Events that may wait for the caller. More would hold more pages in memory.
MAX_QUEUED_EVENTS = 4


class Emitter:
    """Queues events for the caller. Create it in the coordinator's loop.

    For each stream the order is Started, then Records and Checkpoints, then one of Finished and Failed. A stream that
    is left out has LeftOut alone.
    """

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue(MAX_QUEUED_EVENTS)
        self._emit_lock = asyncio.Lock()
        self._started: set[str] = set()
        # Streams whose outcome is decided, and those whose outcome is in the queue.
        self._finished: set[str] = set()
        self._ended: set[str] = set()
        self._failure_tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    def is_finished(self, stream: str) -> bool:
        """Whether the stream's outcome is decided."""
        return stream in self._finished

    async def start(self, selected: SelectedStream | None) -> None:
        """Emit Started, once per stream."""
        if selected and selected.name not in self._started:
            await self._emit(Started(selected.name))

    async def expect(self, stream: str, records: int) -> None:
        await self._emit(Expected(stream, records))

    async def records(self, selected: SelectedStream, records: list[Record], memory: Sequence[PageMemory] = ()) -> None:
        """Emit records of one page.

        Args:
            selected: the stream.
            records: the records.
            memory: counts the memory of the records.
        """
        if records and not self.is_finished(selected.name):
            full_read = selected.state.full_read
            version = full_read.version if full_read else None
            await self._emit(Records(selected.name, records, version, memory))

    async def checkpoint(
        self,
        consumers: Iterable[SelectedStream],
        scan: ListScan,
        rest: tuple[Partition, ...],
        started_at: datetime | None,
        nested_pages: Mapping[str, int],
    ) -> None:
        """Move the positions of a scan's consumers to a page whose records and children were emitted.

        Args:
            consumers: the selected streams of the tree, its root first.
            scan: the scan.
            rest: the unread rest of the list.
            started_at: the moment the sync began; None: unknown, nothing moves.
            nested_pages: the lengths of the root's nested lists, by column.
        """
        bookmark = scan.bookmark or started_at
        for consumer in consumers:
            state = consumer.state
            if bookmark is None or consumer.name not in scan.lower_bounds or self.is_finished(consumer.name):
                continue
            state.reached(scan.lower_bounds[consumer.name], rest, scan.since, bookmark)
            if consumer.stream.nested:
                state.nested_pages.update(nested_pages)
            # The end of a full refresh has its own state, after everything that came with the last page.
            if not (state.is_full_refresh and state.is_read):
                await self._emit(Checkpoint(consumer.name, state.dump()))

    async def finish(self, selected: SelectedStream) -> None:
        """Emit Finished for a stream that was read to its end, unless it has failed."""
        if self.is_finished(selected.name):
            return
        self._finished.add(selected.name)
        state = selected.state
        version = state.finish_full_read()
        dump = None
        if state.is_full_refresh:
            dump = {**FULL_REFRESH_COMPLETE_STATE, **state.dump()}
        elif state.is_dirty:
            dump = state.dump()
        await self._emit(Finished(selected.name, dump, version))

    async def fail_incomplete(self, selected: SelectedStream, error: Exception) -> None:
        """Emit the state and Failed for a stream that was read to its end, with records left out."""
        if not self.is_finished(selected.name):
            selected.state.finish_full_read()
            await self._emit(Checkpoint(selected.name, selected.state.dump()))
        await self.fail([selected], error)

    async def fail(self, consumers: Sequence[SelectedStream], error: Exception) -> None:
        """Emit Failed (or LeftOut) for the streams that have not ended."""
        for consumer in consumers:
            if self.is_finished(consumer.name):
                continue
            self._finished.add(consumer.name)
            # A separate task: the failure is emitted even if the task that found it is cancelled.
            task = asyncio.ensure_future(self._emit_failure(consumer, error))
            self._failure_tasks.append(task)
            await asyncio.shield(task)

    async def flush_failures(self) -> None:
        """Wait until all failures are in the queue."""
        await asyncio.gather(*self._failure_tasks)

    def stop(self) -> None:
        """Drop all events from now on, so that nothing waits for the caller."""
        self._stopped = True
        while not self.queue.empty():
            self.queue.get_nowait()

    async def close(self) -> None:
        """Cancel failures that nobody reads any more."""
        for task in self._failure_tasks:
            task.cancel()
        await asyncio.gather(*self._failure_tasks, return_exceptions=True)

    async def _emit_failure(self, selected: SelectedStream, error: Exception) -> None:
        not_readable = isinstance(error, ForbiddenError | NotFoundError)
        async with self._emit_lock:
            # Inside the lock: the stream's first records can wait there.
            if selected.optional and not_readable and selected.name not in self._started:
                await self._put(LeftOut(selected.name, str(error)))
            else:
                await self._put(Failed(selected.name, error))

    async def _emit(self, event: Event) -> None:
        """Queue an event. The lock keeps the order: a put on a full queue could be overtaken by a later put."""
        async with self._emit_lock:
            await self._put(event)

    async def _put(self, event: Event) -> None:
        """Queue an event after Started, and drop it after the stream's outcome. Call it with the lock."""
        name = event.stream
        if self._stopped or name in self._ended:
            return
        if name not in self._started and not isinstance(event, LeftOut):
            await self.queue.put(Started(name))
            self._started.add(name)
        if not isinstance(event, Started) and not self._stopped:
            await self.queue.put(event)
        if isinstance(event, Finished | Failed | LeftOut):
            self._ended.add(name)
