"""One sync, from the plan to the last event."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from source_incident.api import (
    ApiError,
    AuthenticationError,
    Client,
    ForbiddenError,
    NotFoundError,
    RequestError,
    Stopped,
    TransientError,
    UnreachableError,
)
from source_incident.config import Config
from source_incident.streams.base import ChildStream, IncidentStream, Page, Record, Slice, cursor_of
from source_incident.sync.events import (
    Checkpoint,
    Event,
    Expected,
    Failed,
    Finished,
    Interrupted,
    LeftOut,
    Records,
    Started,
)
from source_incident.sync.nested import NestedColumns, NestedRows
from source_incident.sync.partitions import NotDivisibleError, PageSequence, PartitionedList
from source_incident.sync.plan import (
    ListScan,
    Selected,
    StreamNode,
    lowest,
    passes_floor,
    plan_passes,
    plan_trees,
    wanted_by,
)
from source_incident.sync.reader import FAN_OUT, PageGoneError, Reader, from_the_start
from source_incident.sync.state import Partition
from source_incident.sync.workers import Workers, together

logger = logging.getLogger("airbyte.incident.sync")

# Pages of one pass that may be under way at once, their children included.
PAGES_AHEAD = 2
# Batches that may wait for the caller.
EVENTS_AHEAD = 4


class Sync:
    """One sync of the selected streams.

    `run` is a generator that the caller pulls; between two pulls no new request is made. All bookkeeping happens in the
    caller's thread, in an asyncio loop of its own; the worker threads do nothing but `read_page`.

    Args:
        client: makes the requests.
        config: the settings.
        streams: every stream of the source, by name: what the trees are built from.
        selected: what to read, in order.
    """

    def __init__(
        self,
        client: Client,
        config: Config,
        streams: Mapping[str, IncidentStream],
        selected: Iterable[Selected],
    ) -> None:
        self._client = client
        self._config = config
        self._streams = streams
        self._selected = list(selected)
        self._over: set[str] = set()
        self._started: set[str] = set()
        self._ends: list[asyncio.Task[None]] = []
        self._gone: dict[str, int] = {}
        self._rows: dict[str, NestedRows] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers: Workers | None = None
        self._stopping = False

    def run(self) -> Iterator[Event]:
        """Reads everything.

        Yields:
            What happens, in a safe order: a Checkpoint is true of the Records before it.

        Raises:
            Interrupted: `stop` was called.
        """
        self._stop = asyncio.Event()
        loop = self._loop = asyncio.new_event_loop()
        workers = self._workers = Workers(self._config.num_workers)
        self._reader = Reader(workers)
        self._events: asyncio.Queue[Event] = asyncio.Queue(EVENTS_AHEAD)
        self._turn = asyncio.Lock()
        main = loop.create_task(self._read_all())
        try:
            while event := loop.run_until_complete(self._next_event(main)):
                yield event
            if self._stopping:
                raise Interrupted
        finally:
            self._client.stop()
            main.cancel()
            loop.run_until_complete(asyncio.gather(main, self._reader.close(), return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            workers.close()
            loop.close()
            for rows in self._rows.values():
                rows.close()
            for name, count in self._gone.items():
                logger.info("%s: skipped parents that were gone by the time they were asked for: %d", name, count)

    def stop(self) -> None:
        """Ends the sync: no more pages. May be called from a signal handler."""
        self._stopping = True
        self._client.stop()
        if self._workers:
            self._workers.stop()
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _next_event(self, main: "asyncio.Task[None]") -> Event | None:
        """What happened next; None: nothing will, the sync is over or was stopped."""
        if self._stopping:
            return None
        if not self._events.empty():
            return self._events.get_nowait()
        event = asyncio.ensure_future(self._events.get())
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({event, stop, main}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if event.done() and not self._stopping:
            return event.result()
        event.cancel()
        if self._stopping:
            return None
        main.result()
        return None

    async def _read_all(self) -> None:
        trees = plan_trees(self._streams, self._selected)
        plans = [(tree, plan_passes(tree, self._config)) for tree in trees]
        self._share_rows(plans)
        try:
            await together(self._read_tree(tree, passes) for tree, passes in plans)
            await asyncio.gather(*self._ends)
        finally:
            for told in self._ends:
                told.cancel()
            await asyncio.gather(*self._ends, return_exceptions=True)

    def _share_rows(self, plans: list[tuple[StreamNode, list[ListScan]]]) -> None:
        """Where a nested column's list is read whole for its own stream, its rows are taken from those pages."""
        wanted = {
            name
            for tree, _ in plans
            for column, name in tree.stream.nested.items()
            if tree.selected and column in tree.selected.nested
        }
        for tree, passes in plans:
            if tree.stream.name in wanted and tree.selected and all(one.whole for one in passes):
                self._rows[tree.stream.name] = NestedRows()
                self._rows[tree.stream.name].passes = len(passes)

    # Reading

    async def _read_tree(self, tree: StreamNode, passes: list[ListScan]) -> None:
        """Reads all passes of a tree, and tells what its streams came to."""
        consumers = tree.consumers()
        try:
            work: list[Coroutine[Any, Any, None]] = [self._read_pass(tree, one) for one in passes]
            if tree.stream.open_parent_query and any(one.leaves_out_below(tree.stream.name) for one in passes):
                work.append(self._read_still_open(tree, passes))
            await together(work)
        except Stopped:
            if self._stopping:
                raise
        except asyncio.CancelledError:
            raise
        except AuthenticationError as error:
            await self._fail_all(error)
        except TransientError as error:
            if self._client.answers:
                for item in consumers:
                    await self._fail(item, error)
            else:
                # Not one answer so far: the others would only wait for the same.
                await self._fail_all(UnreachableError(self._client.endpoint, error))
        except Exception as error:
            for item in consumers:
                await self._fail(item, error)
        for item in consumers:
            if item.stream.name not in self._over:
                await self._start(item)
                self._over.add(item.stream.name)
                await self._tell(Finished(item.stream.name))

    async def _read_pass(self, tree: StreamNode, one: ListScan) -> None:
        rows = self._rows.get(tree.stream.name)

        async def read() -> None:
            try:
                await self._read_pages(tree, one, rows)
            except PageGoneError:
                self._restart(tree, one)
                raise
            except NotDivisibleError:
                logger.warning("%s: the API does not divide this list, it starts again and is read whole", name)
                self._restart(tree, one)
                one.divisible = False
                await read()

        name = tree.stream.name
        try:
            await from_the_start(name, read, "this pass starts again from its bookmark")
        except Exception as error:
            if rows:
                rows.done(error)
            raise
        if rows:
            rows.done()

    def _restart(self, tree: StreamNode, one: ListScan) -> None:
        one.parts, one.began = (Partition(),), None
        for item in tree.consumers():
            if item.progress:
                for mode in one.floors.get(item.stream.name, ()):
                    item.progress.positions[mode] = item.progress.positions[mode].restarted()

    async def _read_pages(self, tree: StreamNode, one: ListScan, rows: NestedRows | None) -> None:
        slice_: Slice = {
            **({"modes": one.modes} if tree.stream.mode_parameter else {}),
            **({"since": one.since} if one.since else {}),
            **({"filters": tree.filters} if tree.filters else {}),
        }
        nested = NestedColumns(self._reader, self._config, self._streams, self._rows, tree, one)
        parts = PartitionedList(tree.stream, one.parts, slice_, self._config.num_workers if one.divisible else 1)
        expects = tree.selected if one.starts_all_of(tree.stream.name) else None
        await together(self._read_chain(tree, one, parts, chain, nested, rows, expects) for chain in list(parts.chains))

    async def _read_chain(
        self,
        tree: StreamNode,
        one: ListScan,
        parts: PartitionedList,
        chain: PageSequence,
        nested: NestedColumns,
        rows: NestedRows | None,
        expects: Selected | None = None,
    ) -> None:
        ahead: list[asyncio.Task[None]] = []
        divided: list[asyncio.Task[None]] = []
        try:
            async for page in self._reader.pages(tree.stream, chain.slice, chain.after):
                # Before the pages are handed out side by side: the second would pass the first while that tells it.
                await self._start(tree.selected)
                if expects and page.total is not None:
                    await self._tell(Expected(tree.stream.name, page.total))
                expects = None
                if rows:
                    rows.add(page.records)
                nested.decide(page)
                if new := parts.read(chain, page):
                    divided.append(asyncio.ensure_future(self._read_chain(tree, one, parts, new, nested, rows)))
                previous = ahead[-1] if ahead else None
                ahead.append(asyncio.ensure_future(self._emit_page(tree, one, parts, chain, page, nested, previous)))
                if len(ahead) >= PAGES_AHEAD:
                    await ahead.pop(0)
            await together([*ahead, *divided])
        except ApiError as error:
            if isinstance(error, RequestError) and (chain.start or chain.end):
                raise NotDivisibleError from None
            # The pages before it were read: they are handed out, and the next sync goes on after them.
            await asyncio.gather(*ahead, return_exceptions=True)
            raise
        finally:
            for task in (*ahead, *divided):
                task.cancel()
            await asyncio.gather(*ahead, *divided, return_exceptions=True)

    async def _emit_page(
        self,
        tree: StreamNode,
        one: ListScan,
        parts: PartitionedList,
        chain: PageSequence,
        page: Page,
        nested: NestedColumns,
        previous: "asyncio.Task[None] | None",
    ) -> None:
        """Hands out a page's records and their children; then, after the pages before it, the checkpoint."""
        wanted = wanted_by(tree, one, page.records)
        asked: dict[int, dict[str, list[Record]]] = {}
        if tree.selected:
            name = tree.stream.name
            records = [record for record, names in zip(page.records, wanted, strict=True) if name in names]
            try:
                asked = await nested.fill(records)
                await self._hand_out(tree.selected, records)
            except AuthenticationError:
                raise
            except ApiError as error:
                # Without its nested columns an incident would not be true; what hangs below it can go on.
                await self._fail(tree.selected, error)
        if tree.children:
            await together(
                self._read_children(tree, record, chain.slice, names, asked.get(id(record), {}))
                for record, names in zip(page.records, wanted, strict=True)
                if names
            )
        if previous:
            await previous
        await self._checkpoint(tree, one, parts.emitted(chain, page), nested)

    async def _read_children(
        self,
        node: StreamNode,
        record: Record,
        slice_: Slice,
        wanted: frozenset[str],
        known: Mapping[str, list[Record]],
    ) -> None:
        """Reads what hangs below one record.

        Args:
            wanted: the streams that want it.
            known: by stream, the rows that were read for this record already.
        """
        await together(
            self._read_child(child, child_slice, wanted, known.get(child.stream.name))
            for child in node.children
            if self._wanted(wanted, child)
            and isinstance(child.stream, ChildStream)
            and (child_slice := child.stream.slice_of(record, slice_))
        )

    async def _read_child(
        self, node: StreamNode, slice_: Slice, wanted: frozenset[str], known: list[Record] | None
    ) -> None:
        name = node.stream.name
        try:
            if known is not None:
                await self._emit_child(node, slice_, known, wanted)
                return
            # Many parents can wait for a worker by the time that the first answer ends the stream.
            still = partial(self._wanted, wanted, node)

            async def read() -> None:
                async for page in self._reader.pages(node.stream, slice_, priority=FAN_OUT, wanted=still):
                    await self._emit_child(node, slice_, page.records, wanted)

            await from_the_start(name, read)
        except NotFoundError:
            # The parent was there on its page and is gone now, or has no such thing: no error of the sync (api.md).
            self._gone[name] = self._gone.get(name, 0) + 1
        except AuthenticationError:
            raise
        except ApiError as error:
            for item in node.consumers():
                await self._fail(item, error)

    async def _emit_child(self, node: StreamNode, slice_: Slice, records: list[Record], wanted: frozenset[str]) -> None:
        if node.selected and node.stream.name in wanted:
            await self._hand_out(node.selected, records)
        if node.children:
            await together(self._read_children(node, record, slice_, wanted, {}) for record in records)

    async def _read_still_open(self, tree: StreamNode, passes: list[ListScan]) -> None:
        """The children of records that are open and did not change: theirs can have changed all the same."""
        slice_: Slice = {"modes": self._config.incident_modes, "filters": tree.stream.open_parent_query}
        floors: dict[str, dict[str, datetime | None]] = {}
        for one in passes:
            for name, by_mode in one.floors.items():
                if name != tree.stream.name:
                    floors.setdefault(name, {}).update(by_mode)

        async def read() -> None:
            async for page in self._reader.pages(tree.stream, slice_):
                work = []
                for record in page.records:
                    cursor = cursor_of(record, "updated_at")
                    names = frozenset(
                        name
                        for name, by_mode in floors.items()
                        if not passes_floor(cursor, by_mode.get(str(record.get("mode")), lowest(by_mode)))
                    )
                    work.append(self._read_children(tree, record, slice_, names, {}))
                await together(work)

        await from_the_start(tree.stream.name, read)

    def _wanted(self, wanted: frozenset[str], node: StreamNode) -> bool:
        """Whether one of those who wanted what is read at a node goes on."""
        return any(item.stream.name in wanted - self._over for item in node.consumers())

    # Telling

    async def _tell(self, event: Event) -> None:
        """Hands an event out, after those that were told before it.

        A full queue lets whoever comes when a place gets free pass those that wait for one; the lock does not.
        """
        async with self._turn:
            await self._events.put(event)

    async def _start(self, item: Selected | None) -> None:
        if item and item.stream.name not in self._started:
            self._started.add(item.stream.name)
            await self._tell(Started(item.stream.name))

    async def _hand_out(self, item: Selected, records: list[Record]) -> None:
        if records and item.stream.name not in self._over:
            await self._start(item)
            await self._tell(Records(item.stream.name, records))

    async def _checkpoint(
        self, tree: StreamNode, one: ListScan, left: tuple[Partition, ...], nested: NestedColumns
    ) -> None:
        began = one.began or self._reader.began
        for item in tree.consumers():
            name = item.stream.name
            if not item.progress or name not in one.floors or name in self._over or began is None:
                continue
            for mode in one.floors[name]:
                place = item.progress.positions[mode]
                item.progress.positions[mode] = place.reached(left, one.since, began) if left else place.finished(began)
            if item is tree.selected:
                item.progress.nested_pages.update(nested.pages())
            await self._tell(Checkpoint(name, item.progress.state()))

    async def _fail_all(self, error: ApiError) -> None:
        """Ends the whole sync for a reason that is the same for every stream."""
        for item in self._selected:
            await self._fail(item, error)
        self._client.stop()

    async def _fail(self, item: Selected, error: Exception) -> None:
        if item.stream.name in self._over:
            return
        self._over.add(item.stream.name)
        # Told also where what found it is cancelled meanwhile: nobody else will tell.
        told = asyncio.ensure_future(self._tell_failed(item, error))
        self._ends.append(told)
        await asyncio.shield(told)

    async def _tell_failed(self, item: Selected, error: Exception) -> None:
        name = item.stream.name
        if item.optional and isinstance(error, ForbiddenError | NotFoundError) and name not in self._started:
            await self._tell(LeftOut(name, str(error)))
            return
        await self._start(item)
        await self._tell(Failed(name, error))
