"""Reads lists: a tree's scans, their partitions and pages, and the lists of the children."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeGuard

from source_incident.api import (
    ApiError,
    AuthenticationError,
    Cancelled,
    Client,
    RequestError,
    TransientError,
    UnreachableError,
)
from source_incident.config import Config
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream, CursorStream
from source_incident.streams.page import Page, Record, Slice, cursor_of
from source_incident.sync.children import ChildReader, Root
from source_incident.sync.emitter import Emitter
from source_incident.sync.nested import NestedColumns
from source_incident.sync.nested_store import NestedStore
from source_incident.sync.outcomes import IncompleteStreamError
from source_incident.sync.partitions import NotDivisibleError, PageSequence, PartitionedList
from source_incident.sync.plan import (
    ListScan,
    SelectedStream,
    StreamNode,
    consumers_of_records,
    group_modes,
    is_within,
    lowest,
)
from source_incident.sync.reader import PageExpiredError, PageReader, with_restarts
from source_incident.sync.state import Partition
from source_incident.sync.tasks import TaskGroup

logger = logging.getLogger("airbyte.incident.sync")

# Pages of one sequence that may be emitted concurrently, their children included.
PAGES_AHEAD = 2


class ListScanner:
    """Reads one list of a tree once, with its children, and emits what it reads.

    Args:
        client: makes the requests.
        config: the settings.
        streams: every stream of the source, by name.
        reader: reads pages.
        emitter: takes records and checkpoints.
        stores: by stream, the store of nested records that its scan fills.
        children: reads the child lists.
    """

    def __init__(
        self,
        client: Client,
        config: Config,
        streams: Mapping[str, IncidentStream],
        reader: PageReader,
        emitter: Emitter,
        stores: Mapping[str, NestedStore],
    ) -> None:
        self._client = client
        self._config = config
        self._streams = streams
        self._reader = reader
        self._emitter = emitter
        self._stores = stores
        self.children = ChildReader(reader, emitter)

    async def read_tree(self, tree: StreamNode, scans: list[ListScan]) -> None:
        """Read all scans of a tree, and emit the outcome of its streams.

        Raises:
            AuthenticationError, UnreachableError: the reason holds for every stream.
            Cancelled: the run is being stopped, or the sync has failed.
        """
        consumers = tree.consumers()
        try:
            async with TaskGroup() as group:
                for scan in scans:
                    group.create_task(self._scan(tree, scan))
                if tree.stream.open_parent_query and any(scan.filters_for_children_of(tree.name) for scan in scans):
                    group.create_task(self._read_children_of_open_records(tree, scans))
                for child in tree.children:
                    if isinstance(child.stream, ChildStream) and child.stream.parent_query:
                        group.create_task(self._read_children_of_selected_records(tree, child, scans))
        except (Cancelled, AuthenticationError):
            raise
        except TransientError as error:
            if not self._client.answers:
                # Without a single answer, the other streams would only wait for the same error.
                raise UnreachableError(self._client.endpoint, error) from None
            await self._emitter.fail(consumers, error)
        except Exception as error:
            await self._emitter.fail(consumers, error)
        for consumer in consumers:
            await self._finish(tree, scans, consumer)

    async def _finish(self, tree: StreamNode, scans: list[ListScan], consumer: SelectedStream) -> None:
        """Emit the outcome of a stream whose lists were read to their ends."""
        outcomes = self.children.outcomes[consumer.name]
        if not any(scan.is_resumed and consumer.name in scan.lower_bounds for scan in scans):
            consumer.state.resolve_retries()
        error = outcomes.final_error(tree.name, consumer.state.is_reading_in_full)
        if isinstance(error, IncompleteStreamError):
            await self._emitter.fail_incomplete(consumer, error)
        elif error:
            await self._emitter.fail([consumer], error)
        else:
            await self._emitter.finish(consumer)

    # Lists

    async def _scan(self, tree: StreamNode, scan: ListScan) -> None:
        store = self._stores.get(tree.name)

        async def read() -> None:
            try:
                await self._read_pages(tree, scan, store)
            except PageExpiredError:
                self._restart(tree, scan)
                raise
            except NotDivisibleError:
                logger.warning(
                    "%s: the API's order or filter does not allow partitions, the list restarts and is read as a whole",
                    tree.name,
                )
                self._restart(tree, scan)
                scan.divisible = False
                await read()

        try:
            await with_restarts(tree.name, read, "the stream restarts from its bookmark")
        except Exception as error:
            if store:
                store.scan_ended(error)
            if not _is_refused_mode(error, tree.stream, scan.modes):
                raise
            self._skip_modes(tree, scan, error)
            return
        if store:
            store.scan_ended()

    def _skip_modes(self, tree: StreamNode, scan: ListScan, error: RequestError) -> None:
        """Leave out the modes of a scan that the API refuses. Their position stays, for a sync that may read them.

        Raises:
            RequestError: the config has no other mode.
        """
        if set(scan.modes) == set(self._config.incident_modes):
            raise RequestError(
                error.reason,
                advice=". The API does not accept this mode: remove it from incident_modes",
                status=error.status,
                request_id=error.request_id,
            )
        logger.warning(
            "%s: records of the mode %s are left out, because the API refuses it: %s",
            tree.name,
            ", ".join(scan.modes),
            error.reason,
        )
        for consumer in tree.consumers():
            if any(consumer.state.positions[mode].bookmark for mode in scan.modes):
                # An earlier sync read records of the mode. Their rows stay.
                consumer.state.note_gap()

    @staticmethod
    def _restart(tree: StreamNode, scan: ListScan) -> None:
        scan.partitions, scan.bookmark = (Partition(),), None
        for consumer in tree.consumers():
            consumer.state.restart(scan.lower_bounds.get(consumer.name, ()))

    async def _read_pages(self, tree: StreamNode, scan: ListScan, store: NestedStore | None) -> None:
        slice_: Slice = {
            **({"modes": scan.modes} if tree.stream.mode_parameter else {}),
            **({"since": scan.since} if scan.since else {}),
        }
        max_sequences = self._config.num_workers if scan.divisible else 1
        partitions = PartitionedList(tree.stream, scan.partitions, slice_, max_sequences)
        nested = NestedColumns(
            self._reader, self._config, self._streams, self._stores, tree, scan, self.children.outcomes[tree.name]
        )
        sequence_reader = _SequenceReader(
            self._reader, self._emitter, self.children, tree, scan, partitions, nested, store
        )
        async with TaskGroup() as group:
            for sequence in list(partitions.sequences):
                group.create_task(sequence_reader.read(sequence))

    async def _read_children_of_open_records(self, tree: StreamNode, scans: list[ListScan]) -> None:
        """Read the children of records that are open and did not change, because the children can have changed."""
        bounds_by_consumer: dict[str, dict[str, datetime | None]] = {}
        for scan in scans:
            for name, bounds in scan.lower_bounds.items():
                if name != tree.name:
                    bounds_by_consumer.setdefault(name, {}).update(bounds)

        def consumers_of(cursor: datetime | None, mode: str) -> frozenset[str]:
            return frozenset(
                name
                for name, bounds in bounds_by_consumer.items()
                if not is_within(cursor, bounds.get(mode, lowest(bounds)))
            )

        await self._read_children(tree, tree.stream.open_parent_query, consumers_of)

    async def _read_children_of_selected_records(
        self, tree: StreamNode, child: StreamNode, scans: list[ListScan]
    ) -> None:
        """Read the child lists of all records that `parent_query` selects, whatever their cursors."""
        consumers = [
            consumer for consumer in child.consumers() if any(consumer.name in scan.lower_bounds for scan in scans)
        ]
        names = frozenset(consumer.name for consumer in consumers)
        if not isinstance(child.stream, ChildStream) or not consumers:
            return
        try:
            node = StreamNode(tree.stream, children=[child])
            await self._read_children(node, child.stream.parent_query, lambda cursor, mode: names)
        except AuthenticationError:
            raise
        except ApiError as error:
            if not self._client.answers:
                raise
            await self._emitter.fail(consumers, error)

    async def _read_children(
        self,
        tree: StreamNode,
        query: Mapping[str, Any],
        consumers_of: Callable[[datetime | None, str], frozenset[str]],
    ) -> None:
        """Read the child lists of the records that a query selects.

        Args:
            tree: the tree.
            query: the query parameters.
            consumers_of: the names of the streams that want the children of a record, from its cursor and mode.
        """
        (cursor_field,) = tree.stream.default_cursor_field

        async def read(modes: tuple[str, ...]) -> None:
            slice_: Slice = {"modes": modes, "filters": query}
            async for page in self._reader.pages(tree.stream, slice_):
                async with TaskGroup() as group:
                    for record in page.records:
                        cursor, mode = cursor_of(record, cursor_field), str(record.get("mode"))
                        root = Root(tree.name, record, cursor, consumers_of(cursor, mode))
                        group.create_task(self.children.read(tree, record, slice_, root, {}))

        for modes in group_modes(tree.stream, self._config):
            try:
                await with_restarts(tree.name, partial(read, modes))
            except RequestError as error:
                if not _is_refused_mode(error, tree.stream, modes):
                    raise


def _is_refused_mode(error: Exception, stream: IncidentStream, modes: tuple[str, ...]) -> TypeGuard[RequestError]:
    """Whether the API refused a request because of its incident modes."""
    return isinstance(error, RequestError) and error.status == 422 and set(modes) <= stream.uncertain_modes


class _SequenceReader:
    """Reads the page sequences of one scan."""

    def __init__(
        self,
        reader: PageReader,
        emitter: Emitter,
        children: ChildReader,
        tree: StreamNode,
        scan: ListScan,
        partitions: PartitionedList,
        nested: NestedColumns,
        store: NestedStore | None,
    ) -> None:
        self._reader = reader
        self._emitter = emitter
        self._children = children
        self._tree = tree
        self._scan = scan
        self._partitions = partitions
        self._nested = nested
        self._store = store
        self._reports_total = scan.starts_all_of(tree.name)

    async def read(self, sequence: PageSequence) -> None:
        """Read a sequence: emit each page while the next ones are requested.

        Raises:
            NotDivisibleError: the API refused the filter of a partition.
            ApiError: a page can't be read. The pages before it were emitted.
        """
        async with TaskGroup() as group:
            emitting: deque[asyncio.Task[None]] = deque()
            previous: asyncio.Task[None] | None = None
            try:
                async for page in self._reader.pages(
                    self._tree.stream,
                    sequence.slice,
                    sequence.after,
                    reads_whole_list=lambda: self._scan.is_complete and not (sequence.start or sequence.end),
                ):
                    # Before the pages are emitted concurrently, so that a second page can't overtake Started.
                    await self._emitter.start(self._tree.selected)
                    await self._report_total(page)
                    if self._store:
                        self._store.add_page(page.records)
                    if page.ends_early:
                        self._note_early_end(sequence)
                    self._nested.decide(page)
                    if new := self._partitions.page_read(sequence, page):
                        group.create_task(self.read(new))
                    previous = group.create_task(self._emit_page(sequence, page, previous))
                    emitting.append(previous)
                    del page  # the next page may need its memory
                    if len(emitting) >= PAGES_AHEAD:
                        await emitting.popleft()
            except ApiError as error:
                is_refused = isinstance(error, RequestError | PageExpiredError) and error.status != 404
                if is_refused and (sequence.start or sequence.end):
                    raise NotDivisibleError from None
                # The next sync continues after the pages that were read.
                await asyncio.gather(*emitting, return_exceptions=True)
                raise

    def _note_early_end(self, sequence: PageSequence) -> None:
        """Keep the rows of earlier syncs, because records may be missing from the list.

        Whether the total of a filtered list counts what the filter leaves out is not known (docs/api.md, pages).
        """
        stream = self._tree.stream
        is_filtered = bool(stream.query or stream.mode_parameter or sequence.slice.get("filters"))
        for consumer in self._tree.consumers():
            if consumer.name in self._scan.lower_bounds:
                (consumer.state.note_early_end if is_filtered else consumer.state.note_gap)()

    async def _report_total(self, page: Page) -> None:
        if self._reports_total and self._tree.selected and page.total is not None:
            await self._emitter.expect(self._tree.name, page.total)
        self._reports_total = False

    async def _emit_page(self, sequence: PageSequence, page: Page, previous: "asyncio.Task[None] | None") -> None:
        """Emit a page's records and their children; then, after the pages before it, the checkpoint."""
        tree, scan = self._tree, self._scan
        cursor_field = tree.stream.cursor_field if isinstance(tree.stream, CursorStream) else None
        roots = [
            Root(tree.name, record, cursor_of(record, cursor_field) if cursor_field else None, consumers)
            for record, consumers in zip(page.records, consumers_of_records(tree, scan, page.records), strict=True)
        ]
        requested = await self._emit_records(tree.selected, roots, page) if tree.selected else {}
        if tree.children:
            async with TaskGroup() as group:
                for root in roots:
                    if root.consumers:
                        known = requested.get(id(root.record), {})
                        group.create_task(self._children.read(tree, root.record, sequence.slice, root, known))
        if previous:
            await previous
        rest = self._partitions.page_emitted(sequence, page)
        await self._emitter.checkpoint(tree.consumers(), scan, rest, self._reader.started_at, self._nested.pages())

    async def _emit_records(
        self, selected: SelectedStream, roots: list[Root], page: Page
    ) -> dict[int, dict[str, list[Record]]]:
        """Emit the page's own records with their nested columns.

        Returns:
            What `NestedColumns.fill` returns.
        """
        own = [root for root in roots if selected.name in root.consumers]
        requested: dict[int, dict[str, list[Record]]] = {}
        memory = [page.memory] if page.memory else []
        try:
            requested = await self._nested.fill([root.record for root in own], memory)
        except AuthenticationError:
            raise
        except ApiError as error:
            # Without its nested columns an incident is incomplete. Its children are still read.
            await self._emitter.fail([selected], error)
        complete = [root for root in own if root.id not in self._nested.failed]
        for root in own:
            if root.id in self._nested.failed:
                selected.state.note_gap()
                self._children.retry([selected], root)
        if selected.nested:
            await self._nested.probe(selected.state.forbidden_columns)
            self._note_forbidden_columns(selected)
        await self._emitter.records(selected, [root.record for root in complete], memory)
        return requested

    def _note_forbidden_columns(self, selected: SelectedStream) -> None:
        """Remember nested columns that the key may not read. Once it may, a full read fills them."""
        state = selected.state
        if state.forbidden_columns & self._nested.filled:
            state.needs_full_read = True
        state.forbidden_columns = (state.forbidden_columns - self._nested.filled) | self._nested.forbidden.keys()
