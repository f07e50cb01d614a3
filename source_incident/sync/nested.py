"""Adds the columns that a list leaves out: nested columns of incidents, from whole lists or with requests per incident,
and detail columns, with one request per record.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from source_incident.api import (
    ApiError,
    ForbiddenError,
    NotFoundError,
    PageMemory,
    RequestError,
    TransientError,
    UnexpectedAnswerError,
    check_size,
)
from source_incident.config import DEFAULT_MODES, Config
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream, DetailStream
from source_incident.streams.page import Page, Record, Slice
from source_incident.streams.probe import Probes
from source_incident.sync.nested_store import NestedStore
from source_incident.sync.outcomes import Outcomes
from source_incident.sync.plan import ListScan, StreamNode, consumers_of_records, group_modes
from source_incident.sync.reader import PageReader, with_restarts
from source_incident.sync.tasks import TaskGroup

logger = logging.getLogger("airbyte.incident.sync")

# Up to this many changed incidents are requested one by one while the length of the whole list is unknown.
FEW_INCIDENTS = 10


class NestedColumns:
    """The nested and the detail columns of one scan: which are selected, and how each is read with the fewest requests.

    Args:
        reader: reads pages.
        config: the settings.
        streams: every stream of the source, by name.
        shared: by stream, the store that the stream's own scan fills.
        tree: the tree whose root has the columns.
        scan: the scan.
        outcomes: counts the records whose columns failed.

    Attributes:
        forbidden: the columns that the key may not read.
        filled: the columns that were read.
    """

    def __init__(
        self,
        reader: PageReader,
        config: Config,
        streams: Mapping[str, IncidentStream],
        shared: Mapping[str, NestedStore],
        tree: StreamNode,
        scan: ListScan,
        outcomes: Outcomes,
    ) -> None:
        self._reader = reader
        self._config = config
        self._shared = shared
        self._tree = tree
        self._scan = scan
        selected = tree.selected if tree.name in scan.lower_bounds else None
        self._columns = {
            column: streams[name]
            for column, name in tree.stream.nested.items()
            if selected and column in selected.nested
        }
        self._details = tuple(name for name in tree.stream.detail_columns if selected and name in selected.nested)
        self._detail_stream = DetailStream(tree.stream) if self._details else None
        self._known_pages = selected.state.nested_pages if selected and selected.state else {}
        self._stores: dict[str, NestedStore] = {}
        self._outcomes = outcomes
        self.filled: set[str] = set()
        self.forbidden: dict[str, ForbiddenError] = {}
        self._decided = False
        self._probed = False
        self._streams_by_type = {type(stream): stream for stream in streams.values()}

    @property
    def failed(self) -> Collection[str]:
        """The ids of the records whose columns could not be read."""
        return self._outcomes.failed

    def pages(self) -> Mapping[str, int]:
        """The length in pages of each whole list, by column, for the next sync's decision."""
        return {
            column: store.pages for column, store in self._stores.items() if store.complete.is_set() and not store.error
        }

    def decide(self, page: Page) -> None:
        """Decide at the first page for each column: requests per incident, or one scan of the whole list."""
        if self._decided:
            return
        self._decided = True
        consumers = consumers_of_records(self._tree, self._scan, page.records)
        changed = sum(self._tree.name in names for names in consumers)
        if page.after and page.total is not None:
            changed = max(changed, page.total)
        for column, stream in self._columns.items():
            if isinstance(stream, ChildStream):
                continue
            shared = self._shared.get(stream.name)
            if shared and not shared.error:
                self._stores[column] = shared
            elif self._scan.since is None or changed > self._known_pages.get(column, FEW_INCIDENTS):
                self._stores[column] = self._scan_whole_list(stream)

    async def fill(self, records: list[Record], memory: list[PageMemory]) -> dict[int, dict[str, list[Record]]]:
        """Add the columns to the records. Records that fail are in `failed`.

        Args:
            records: the records of one page.
            memory: counts the memory of the page. What the columns take is added.

        Returns:
            By the id() of a record and by stream, the nested records that were requested for this record alone.

        Raises:
            ApiError: a column can't be read, so the records would be incomplete.
        """
        requested: dict[int, dict[str, list[Record]]] = {}
        if not (self._columns or self._details) or not records:
            return requested
        for column, store in list(self._stores.items()):
            await store.complete.wait()
            if store.pages:
                self._mark_readable([column])
            if store.error:
                self._mark_forbidden([column], store.error)
        if not self._details and all(column in self._stores for column in self._columns):
            for record in records:
                self._fill_from_stores(record, memory)
        else:
            async with TaskGroup() as group:
                for record in records:
                    group.create_task(self._fill_with_requests(record, requested, memory))
        return requested

    async def probe(self, columns: Collection[str]) -> None:
        """Learn whether the key may read some columns now, where no record of the scan has needed them yet."""
        unknown = [
            column
            for column in self._columns
            if column in columns and column not in self.filled and column not in self.forbidden
        ]
        if self._probed:
            return
        self._probed = bool(unknown)
        probes = Probes(self._streams_by_type.__getitem__)
        for column in unknown:
            try:
                await self._reader.probe(probes, type(self._columns[column]))
            except ForbiddenError as error:
                self._mark_forbidden([column], error)
            except (NotFoundError, RequestError, TransientError, UnexpectedAnswerError):
                pass  # The next sync learns it.
            else:
                self.filled.add(column)

    def _fill_from_stores(self, record: Record, memory: list[PageMemory]) -> bool:
        """Add the columns of whole lists to a record. False: they are too large."""
        for column, store in self._stores.items():
            if column not in self._columns:
                continue
            size = store.size_of(record["id"])
            try:
                check_size(sum(part.total for part in memory) + size)
            except UnexpectedAnswerError as error:
                self._add_failed(record, error)
                return False
            memory.append(PageMemory(total=size))
            # Null where there are none, as in the Go tap.
            record[column] = store.records_of(record["id"]) or None
        return True

    async def _fill_with_requests(
        self, record: Record, requested: dict[int, dict[str, list[Record]]], memory: list[PageMemory]
    ) -> None:
        if not self._fill_from_stores(record, memory):
            return
        sources = [([column], stream) for column, stream in self._columns.items() if column not in self._stores]
        if self._detail_stream:
            sources.append((list(self._details), self._detail_stream))
        for columns, stream in sources:
            found: list[Record] = []
            try:
                found = await self._reader.collect(stream, self._slice(stream, record), memory)
                self._mark_readable(columns)
            except NotFoundError:
                pass  # The record was deleted after its page was read. It is still valid.
            except ForbiddenError as error:
                self._mark_forbidden(columns, error)
            except (TransientError, UnexpectedAnswerError) as error:
                # The record would be incomplete. The others are not.
                self._add_failed(record, error)
                return
            if isinstance(stream, DetailStream):
                self._tree.stream.add_details(record, found[0] if found else {}, columns)
            else:
                requested.setdefault(id(record), {})[stream.name] = found
                record[columns[0]] = found or None
        self._outcomes.read += 1

    def _add_failed(self, record: Record, error: ApiError) -> None:
        """Skip a record. Raise the error if it is one too many."""
        if not self._outcomes.tolerates(error):
            raise error
        self._outcomes.add_failed(str(record["id"]), error)
        logger.warning("%s: %s is skipped: %s", self._tree.name, record["id"], error.message)

    @staticmethod
    def _slice(stream: IncidentStream, record: Record) -> Slice:
        if isinstance(stream, DetailStream):
            return {"id": record["id"]}
        if isinstance(stream, ChildStream):
            return {"incident_id": record["id"]}
        slice_: dict[str, Any] = {"filters": {"incident_id": record["id"]}}
        if stream.mode_parameter and record.get("mode") not in DEFAULT_MODES:
            slice_["modes"] = (record.get("mode"),)
        return slice_

    def _scan_whole_list(self, stream: IncidentStream) -> NestedStore:
        """Start to read a whole list, in all incident modes of the config."""
        groups = group_modes(stream, self._config)
        store = NestedStore(scans=len(groups))
        for modes in groups:
            self._reader.run_in_background(self._fill_store(stream, modes, store))
        return store

    async def _fill_store(self, stream: IncidentStream, modes: tuple[str, ...], store: NestedStore) -> None:
        async def read() -> None:
            async for page in self._reader.pages(stream, {"modes": modes} if stream.mode_parameter else {}):
                store.add_page(page.records)

        try:
            await with_restarts(stream.name, read)
        except Exception as error:
            store.scan_ended(error)
        else:
            store.scan_ended()

    def _mark_readable(self, columns: list[str]) -> None:
        """Record that columns were read. Columns that were forbidden before make the records inconsistent."""
        self.filled.update(columns)
        if columns[0] in self.forbidden:
            raise self.forbidden[columns[0]]

    def _mark_forbidden(self, columns: list[str], error: Exception) -> None:
        """Leave columns null that the key may not read, and log it once. Raise any other error.

        A 403 after a successful request is raised too: some records would have the columns, and others would not.
        """
        if not isinstance(error, ForbiddenError) or columns[0] in self.filled:
            raise error
        if columns[0] in self.forbidden:
            return
        self.forbidden.update(dict.fromkeys(columns, error))
        self._details = tuple(name for name in self._details if name not in columns)
        if not self._details:
            self._detail_stream = None
        for column in columns:
            self._columns.pop(column, None)
        kind = "nested column" if columns[0] in self._tree.stream.nested else "columns"
        logger.warning("%s: the %s %s stays empty: %s", self._tree.name, kind, ", ".join(columns), error.message)
