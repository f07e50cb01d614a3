"""Reads the child lists of a record, and decides what a parent that can't be read means for its streams."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from source_incident.api import ApiError, AuthenticationError, ForbiddenError, NotFoundError, PageMemory
from source_incident.streams.kinds import ChildStream
from source_incident.streams.page import Record, Slice
from source_incident.sync.emitter import Emitter
from source_incident.sync.outcomes import Outcomes
from source_incident.sync.plan import SelectedStream, StreamNode
from source_incident.sync.reader import CHILD_PAGE, PageReader, with_restarts
from source_incident.sync.state import Retry
from source_incident.sync.tasks import TaskGroup

logger = logging.getLogger("airbyte.incident.sync")


@dataclass(frozen=True, slots=True)
class Root:
    """A record at the root of a tree.

    Attributes:
        stream: the name of its stream.
        record: the record.
        cursor: its cursor; None: it has none.
        consumers: the names of the streams that want it or its children.
    """

    stream: str
    record: Record
    cursor: datetime | None
    consumers: frozenset[str]

    @property
    def id(self) -> str:
        return str(self.record.get("id"))


class ChildReader:
    """Reads child lists, and emits their records.

    Args:
        reader: reads pages.
        emitter: takes the records.

    Attributes:
        outcomes: by stream, what became of the records' children and nested columns.
    """

    def __init__(self, reader: PageReader, emitter: Emitter) -> None:
        self._reader = reader
        self._emitter = emitter
        self.outcomes: dict[str, Outcomes] = defaultdict(Outcomes)
        # The groups whose lists were requested. An event: the list is being read.
        self._groups: dict[tuple[Any, ...], asyncio.Event | None] = {}

    async def read(
        self,
        node: StreamNode,
        record: Record,
        slice_: Slice,
        root: Root,
        requested: Mapping[str, list[Record]],
    ) -> None:
        """Read the child lists of one record.

        Args:
            node: the record's stream.
            record: the record.
            slice_: the record's slice.
            root: the record at the root of the tree that the record belongs to.
            requested: by stream, records that were already requested for this record.
        """
        async with TaskGroup() as group:
            for child in node.children:
                if not isinstance(child.stream, ChildStream) or not self._is_needed(child, root):
                    continue
                for child_slice in child.stream.child_slices(record, slice_):
                    if child.stream.group_key in child_slice:
                        group.create_task(self._read_list_of_group(child, child_slice, root))
                    else:
                        group.create_task(self._read_child_list(child, child_slice, root, requested.get(child.name)))

    async def _read_list_of_group(self, node: StreamNode, slice_: Slice, root: Root) -> None:
        """Read the list of a group, or wait until it was read for another record of the group."""
        group = (node.name, *slice_.values())
        if group in self._groups:
            if is_read := self._groups[group]:
                await is_read.wait()
            return
        is_read = self._groups[group] = asyncio.Event()
        try:
            await self._read_child_list(node, slice_, root, None)
        finally:
            is_read.set()
            self._groups[group] = None

    async def _read_child_list(
        self, node: StreamNode, slice_: Slice, root: Root, requested: list[Record] | None
    ) -> None:
        async def read() -> None:
            # Many parents can wait for a worker when an error ends the stream.
            is_needed = partial(self._is_needed, node, root)
            async for page in self._reader.pages(node.stream, slice_, priority=CHILD_PAGE, is_needed=is_needed):
                if page.complete_until and root.cursor and page.complete_until < root.cursor:
                    # A full refresh reads the records again in any case.
                    self.retry([consumer for consumer in consumers if not consumer.state.is_full_refresh], root)
                await self._emit_child_records(node, slice_, page.records, root, page.memory)

        consumers = [consumer for consumer in node.consumers() if consumer.name in root.consumers]
        try:
            if requested is not None:
                await self._emit_child_records(node, slice_, requested, root)
            else:
                await with_restarts(node.name, read)
        except NotFoundError as error:
            # The parent was deleted after its page was read, or has no such list (docs/api.md, missing parents).
            for consumer in consumers:
                self.outcomes[consumer.name].add_missing(error)
                consumer.state.note_skipped_parent()
        except AuthenticationError:
            raise
        except ApiError as error:
            await self.record_failed(consumers, root, error)
        else:
            for consumer in consumers:
                self.outcomes[consumer.name].read += 1

    async def record_failed(self, consumers: list[SelectedStream], root: Root, error: ApiError) -> None:
        """Record that the children or nested columns of a record can't be read. Too many of them fail the stream."""
        for consumer in consumers:
            outcomes = self.outcomes[consumer.name]
            if not outcomes.tolerates(error):
                await self._emitter.fail([consumer], error)
                continue
            outcomes.add_failed(root.id, error)
            consumer.state.note_gap()
            logger.warning("%s: %s of %s is skipped: %s", consumer.name, root.id, root.stream, error.message)
            if not isinstance(error, ForbiddenError):
                self.retry([consumer], root)
            elif error.scope and not outcomes.read and not consumer.state.is_full_refresh:
                # Without the scope the whole stream is unreadable, so this record must not be passed.
                self.retry([consumer], root)

    @staticmethod
    def retry(consumers: list[SelectedStream], root: Root) -> None:
        """Have the next sync read a record again."""
        for consumer in consumers:
            consumer.state.add_retry(Retry(root.cursor, frozenset({root.id})))

    async def _emit_child_records(
        self, node: StreamNode, slice_: Slice, records: list[Record], root: Root, memory: PageMemory | None = None
    ) -> None:
        if node.selected and node.name in root.consumers:
            await self._emitter.records(node.selected, records, (memory,) if memory else ())
        if node.children:
            async with TaskGroup() as group:
                for record in records:
                    group.create_task(self.read(node, record, slice_, root, {}))

    def _is_needed(self, node: StreamNode, root: Root) -> bool:
        """Whether a consumer at or below a node wants the root's records and has not failed."""
        return any(
            selected.name in root.consumers and not self._emitter.is_finished(selected.name)
            for selected in node.consumers()
        )
