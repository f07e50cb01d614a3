"""Reads lists: a tree's scans, their partitions and pages, and the lists of the children."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from source_incident.api import (
    ApiError,
    AuthenticationError,
    Cancelled,
    Client,
    NotFoundError,
    RequestError,
    TransientError,
    UnreachableError,
)
from source_incident.config import Config
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream
from source_incident.streams.page import Page, Record, Slice, cursor_of
from source_incident.sync.emitter import Emitter
from source_incident.sync.nested import NestedColumns
from source_incident.sync.nested_store import NestedStore
from source_incident.sync.partitions import NotDivisibleError, PageSequence, PartitionedList
from source_incident.sync.plan import ListScan, StreamNode, consumers_of_records, is_within, lowest
from source_incident.sync.reader import CHILD_PAGE, PageExpiredError, PageReader, with_restarts
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
        missing_parents: by stream, counts the parents that were deleted before their children were read.
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
        self.missing_parents: Counter[str] = Counter()

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
        except (Cancelled, AuthenticationError):
            raise
        except TransientError as error:
            if not self._client.answers:
                # Without a single answer, the other streams would only wait for the same error.
                raise UnreachableError(self._client.endpoint, error) from None
            await self._emitter.fail(consumers, error)
        except Exception as error:
            await self._emitter.fail(consumers, error)
        await self._emitter.finish(consumers)

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
            raise
        if store:
            store.scan_ended()

    @staticmethod
    def _restart(tree: StreamNode, scan: ListScan) -> None:
        scan.partitions, scan.began_at = (Partition(),), None
        for consumer in tree.consumers():
            if consumer.state:
                for mode in scan.lower_bounds.get(consumer.name, ()):
                    consumer.state.positions[mode] = consumer.state.positions[mode].restarted()

    async def _read_pages(self, tree: StreamNode, scan: ListScan, store: NestedStore | None) -> None:
        slice_: Slice = {
            **({"modes": scan.modes} if tree.stream.mode_parameter else {}),
            **({"since": scan.since} if scan.since else {}),
            **({"filters": tree.filters} if tree.filters else {}),
        }
        max_sequences = self._config.num_workers if scan.divisible else 1
        partitions = PartitionedList(tree.stream, scan.partitions, slice_, max_sequences)
        nested = NestedColumns(self._reader, self._config, self._streams, self._stores, tree, scan)
        sequence_reader = _SequenceReader(self, tree, scan, partitions, nested, store)
        async with TaskGroup() as group:
            for sequence in list(partitions.sequences):
                group.create_task(sequence_reader.read(sequence))

    async def _read_children_of_open_records(self, tree: StreamNode, scans: list[ListScan]) -> None:
        """Read the children of records that are open and did not change, because the children can have changed."""
        slice_: Slice = {"modes": self._config.incident_modes, "filters": tree.stream.open_parent_query}
        bounds_by_consumer: dict[str, dict[str, datetime | None]] = {}
        for scan in scans:
            for name, bounds in scan.lower_bounds.items():
                if name != tree.name:
                    bounds_by_consumer.setdefault(name, {}).update(bounds)

        async def read() -> None:
            async for page in self._reader.pages(tree.stream, slice_):
                async with TaskGroup() as group:
                    for record in page.records:
                        cursor, mode = cursor_of(record, "updated_at"), str(record.get("mode"))
                        consumers = frozenset(
                            name
                            for name, bounds in bounds_by_consumer.items()
                            if not is_within(cursor, bounds.get(mode, lowest(bounds)))
                        )
                        group.create_task(self.read_children(tree, record, slice_, consumers, {}))

        await with_restarts(tree.name, read)

    # Children

    async def read_children(
        self,
        node: StreamNode,
        record: Record,
        slice_: Slice,
        consumers: frozenset[str],
        requested: Mapping[str, list[Record]],
    ) -> None:
        """Read the child lists of one record.

        Args:
            node: the record's stream.
            record: the record.
            slice_: the record's slice.
            consumers: the streams that want the record's children.
            requested: by stream, records that were already requested for this record.
        """
        async with TaskGroup() as group:
            for child in node.children:
                if not isinstance(child.stream, ChildStream) or not self._is_wanted(child, consumers):
                    continue
                if child_slice := child.stream.child_slice(record, slice_):
                    group.create_task(self._read_child_list(child, child_slice, consumers, requested.get(child.name)))

    async def _read_child_list(
        self, node: StreamNode, slice_: Slice, consumers: frozenset[str], requested: list[Record] | None
    ) -> None:
        async def read() -> None:
            # Many parents can wait for a worker when an error ends the stream.
            is_wanted = partial(self._is_wanted, node, consumers)
            async for page in self._reader.pages(node.stream, slice_, priority=CHILD_PAGE, is_wanted=is_wanted):
                await self._emit_child_records(node, slice_, page.records, consumers)

        try:
            if requested is not None:
                await self._emit_child_records(node, slice_, requested, consumers)
            else:
                await with_restarts(node.name, read)
        except NotFoundError:
            # The parent was deleted after its page was read, or has no such list (docs/api.md, missing parents).
            self.missing_parents[node.name] += 1
        except AuthenticationError:
            raise
        except ApiError as error:
            await self._emitter.fail(node.consumers(), error)

    async def _emit_child_records(
        self, node: StreamNode, slice_: Slice, records: list[Record], consumers: frozenset[str]
    ) -> None:
        if node.selected and node.name in consumers:
            await self._emitter.records(node.selected, records)
        if node.children:
            async with TaskGroup() as group:
                for record in records:
                    group.create_task(self.read_children(node, record, slice_, consumers, {}))

    def _is_wanted(self, node: StreamNode, consumers: frozenset[str]) -> bool:
        """Whether a consumer at or below a node wants records and has not failed."""
        return any(
            selected.name in consumers and not self._emitter.is_finished(selected.name) for selected in node.consumers()
        )


class _SequenceReader:
    """Reads the page sequences of one scan."""

    def __init__(
        self,
        scanner: ListScanner,
        tree: StreamNode,
        scan: ListScan,
        partitions: PartitionedList,
        nested: NestedColumns,
        store: NestedStore | None,
    ) -> None:
        self._scanner = scanner
        self._reader = scanner._reader
        self._emitter = scanner._emitter
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
                async for page in self._reader.pages(self._tree.stream, sequence.slice, sequence.after):
                    # Before the pages are emitted concurrently, so that a second page can't overtake Started.
                    await self._emitter.start(self._tree.selected)
                    await self._report_total(page)
                    if self._store:
                        self._store.add_page(page.records)
                    self._nested.decide(page)
                    if new := self._partitions.page_read(sequence, page):
                        group.create_task(self.read(new))
                    previous = group.create_task(self._emit_page(sequence, page, previous))
                    emitting.append(previous)
                    if len(emitting) >= PAGES_AHEAD:
                        await emitting.popleft()
            except ApiError as error:
                if isinstance(error, RequestError) and (sequence.start or sequence.end):
                    raise NotDivisibleError from None
                # The next sync continues after the pages that were read.
                await asyncio.gather(*emitting, return_exceptions=True)
                raise

    async def _report_total(self, page: Page) -> None:
        if self._reports_total and self._tree.selected and page.total is not None:
            await self._emitter.expect(self._tree.name, page.total)
        self._reports_total = False

    async def _emit_page(self, sequence: PageSequence, page: Page, previous: "asyncio.Task[None] | None") -> None:
        """Emit a page's records and their children; then, after the pages before it, the checkpoint."""
        tree, scan = self._tree, self._scan
        consumers = consumers_of_records(tree, scan, page.records)
        requested: dict[int, dict[str, list[Record]]] = {}
        if tree.selected:
            records = [record for record, names in zip(page.records, consumers, strict=True) if tree.name in names]
            try:
                requested = await self._nested.fill(records)
                await self._emitter.records(tree.selected, records)
            except AuthenticationError:
                raise
            except ApiError as error:
                # Without its nested columns an incident is incomplete. Its children are still read.
                await self._emitter.fail([tree.selected], error)
        if tree.children:
            async with TaskGroup() as group:
                for record, names in zip(page.records, consumers, strict=True):
                    if names:
                        group.create_task(
                            self._scanner.read_children(
                                tree, record, sequence.slice, names, requested.get(id(record), {})
                            )
                        )
        if previous:
            await previous
        rest = self._partitions.page_emitted(sequence, page)
        await self._emitter.checkpoint(tree.consumers(), scan, rest, self._reader.began_at, self._nested.pages())
