"""One sync: starts the scans of all trees, hands events to the caller, ends everything in order."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

from source_incident import clock
from source_incident.api import ApiError, AuthenticationError, Cancelled, Client, UnreachableError
from source_incident.cancellation import CancellationToken
from source_incident.config import Config
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream, CursorStream
from source_incident.sync.emitter import Emitter
from source_incident.sync.events import Event, Interrupted
from source_incident.sync.nested_store import NestedStore
from source_incident.sync.plan import ListScan, SelectedStream, StreamNode, plan_scans, plan_trees
from source_incident.sync.reader import CHILD_PAGE, PageReader
from source_incident.sync.scan import ListScanner
from source_incident.sync.tasks import TaskGroup
from source_incident.sync.workers import Workers

logger = logging.getLogger("airbyte.incident.sync")


class Sync:
    """One sync of the selected streams.

    `run` is a generator that the caller pulls; while the caller does not pull, no new request is made. All bookkeeping
    is done in the caller's thread, in an asyncio loop. The worker threads only call `read_page`.

    Args:
        client: makes the requests. Its token ends them at the end of the sync.
        config: the settings.
        streams: every stream of the source, by name.
        selected: the streams to read, in order.
        cancellation: the run's token.
        new_event_loop: makes the coordinator's loop.
        make_workers: makes the workers, from their number and the run's token.
    """

    def __init__(
        self,
        client: Client,
        config: Config,
        streams: Mapping[str, IncidentStream],
        selected: Iterable[SelectedStream],
        cancellation: CancellationToken,
        new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        make_workers: Callable[[int, CancellationToken], Workers] = Workers,
    ) -> None:
        self._client = client
        self._config = config
        self._streams = streams
        self._selected = list(selected)
        self._cancellation = cancellation
        self._new_event_loop = new_event_loop
        self._make_workers = make_workers
        self._stores: dict[str, NestedStore] = {}

    def run(self) -> Iterator[Event]:
        """Read everything.

        Yields:
            Events in a safe order: a Checkpoint covers the Records before it.

        Raises:
            Interrupted: the run's token was cancelled.
        """
        loop = self._new_event_loop()
        workers = self._make_workers(self._config.num_workers, self._cancellation)
        reader = self._reader = PageReader(workers)
        self._emitter = Emitter()
        self._scanner = ListScanner(self._client, self._config, self._streams, reader, self._emitter, self._stores)
        self._cancelled = asyncio.Event()
        remove_callback = self._cancellation.on_cancel(lambda: _set_from_thread(loop, self._cancelled))
        main = loop.create_task(self._read_all())
        try:
            while event := loop.run_until_complete(self._next_event(main)):
                yield event
            if self._cancellation.is_cancelled:
                raise Interrupted
        finally:
            remove_callback()
            self._client.cancellation.cancel()
            # A stream can fail while the sync stops. Nobody reads its outcome.
            self._emitter.stop()
            main.cancel()
            loop.run_until_complete(asyncio.gather(main, reader.close(), return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            workers.close()
            loop.close()
            for store in self._stores.values():
                store.close()
            for name, outcomes in self._scanner.children.outcomes.items():
                if outcomes.missing:
                    logger.info("%s: %d parents had been deleted (404)", name, outcomes.missing)
                if outcomes.forbidden:
                    logger.warning("%s: %d parents may not be read (403)", name, outcomes.forbidden)

    async def _next_event(self, main: "asyncio.Task[None]") -> Event | None:
        """The next event; None: the sync has ended or was cancelled."""
        queue = self._emitter.queue
        if self._cancellation.is_cancelled:
            return None
        if not queue.empty():
            return queue.get_nowait()
        event = asyncio.ensure_future(queue.get())
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        await asyncio.wait({event, cancelled, main}, return_when=asyncio.FIRST_COMPLETED)
        cancelled.cancel()
        if event.done() and not self._cancellation.is_cancelled:
            return event.result()
        event.cancel()
        if self._cancellation.is_cancelled:
            return None
        main.result()
        return None

    async def _read_all(self) -> None:
        now = clock.now()
        for selected in self._selected:
            root = selected.stream.root() if isinstance(selected.stream, ChildStream) else type(selected.stream)
            start_date = self._config.start_date if issubclass(root, CursorStream) else None
            selected.state.begin(now, self._config.full_read_days, start_date, selected.has_foreign_catalog)
            if selected.stream.has_window:
                selected.state.note_gap()
        trees = plan_trees(self._streams, self._selected)
        plans = [(tree, plan_scans(tree, self._config)) for tree in trees]
        self._share_stores(plans)
        try:
            await self._read_trees(plans)
            await self._emitter.flush_failures()
        finally:
            await self._emitter.close()

    async def _read_trees(self, plans: list[tuple[StreamNode, list[ListScan]]]) -> None:
        try:
            async with TaskGroup() as group:
                for tree, scans in plans:
                    group.create_task(self._scanner.read_tree(tree, scans))
                for name in _lists_of_filter_values([tree for tree, _ in plans]):
                    group.create_task(self._check_filter_values(self._streams[name]))
        except (AuthenticationError, UnreachableError) as error:
            await self._emitter.fail(self._selected, error)
        except Cancelled:
            pass

    async def _check_filter_values(self, stream: IncidentStream) -> None:
        """Read a list for the warnings of `known_values` alone."""
        try:
            async for _ in self._reader.pages(stream, {}, priority=CHILD_PAGE):
                pass
        except Cancelled:
            raise
        except ApiError as error:
            logger.info("%s could not be checked for unknown values: %s", stream.name, error)

    def _share_stores(self, plans: list[tuple[StreamNode, list[ListScan]]]) -> None:
        """Take a nested column's records from the pages of its own stream, where that stream is read completely."""
        nested_streams = {
            name
            for tree, _ in plans
            for column, name in tree.stream.nested.items()
            if tree.selected and column in tree.selected.nested
        }
        for tree, scans in plans:
            if tree.name in nested_streams and tree.selected and all(scan.is_complete for scan in scans):
                self._stores[tree.name] = NestedStore(scans=len(scans))


def _lists_of_filter_values(trees: list[StreamNode]) -> set[str]:
    """The lists that no tree reads, and that have the values of a tree's filter."""
    names = {tree.stream.filter_values_from for tree in trees if tree.stream.filter_values_from}
    return names - {tree.name for tree in trees}


def _set_from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
