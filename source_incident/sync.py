"""The engine: reads the selected streams side by side and emits records and checkpoints in a safe order.

See docs/design.md, "The engine". `Sync.run` is a generator that the caller pulls; between two pulls no new request
is made. All bookkeeping happens in the caller's thread, in an asyncio loop of its own; worker threads do nothing but
`read_page`.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from source_incident.api import (
    ApiError,
    AuthenticationError,
    Client,
    ForbiddenError,
    NotFoundError,
    Stopped,
    UnexpectedAnswerError,
)
from source_incident.config import DEFAULT_MODES, Config
from source_incident.places import Place, Progress
from source_incident.streams.base import (
    ChildStream,
    CursorStream,
    IncidentStream,
    IncrementalStream,
    Page,
    Record,
    Slice,
    cursor_of,
)

logger = logging.getLogger("airbyte.incident.sync")

T = TypeVar("T")

# Pages of one pass that may be under way at once, their children included.
PAGES_AHEAD = 2
# Batches that may wait for the caller.
EVENTS_AHEAD = 4
# How often a pass starts again because the record that its next page hangs on is gone.
RESTARTS = 3
# Asking incident by incident is taken for so few changed incidents, where the length of the whole list is unknown.
FEW = 10


@dataclass(frozen=True)
class Selected:
    """A stream that is to be read.

    Attributes:
        stream: the stream.
        incremental: from the bookmark on, and with checkpoints; else all of it.
        nested: the nested columns that are wanted.
        optional: nobody chose it: where the key may not read it, it is left out with a warning.
        state: the stream's state, parsed; None where it is read in full.
    """

    stream: IncidentStream
    incremental: bool
    nested: frozenset[str] = frozenset()
    optional: bool = False
    progress: Progress | None = None


@dataclass(frozen=True)
class Started:
    stream: str


@dataclass(frozen=True)
class Records:
    stream: str
    records: list[Record]


@dataclass(frozen=True)
class Checkpoint:
    """The stream's state, true of the records that were handed out before it."""

    stream: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Finished:
    stream: str


@dataclass(frozen=True)
class Failed:
    stream: str
    error: Exception


@dataclass(frozen=True)
class LeftOut:
    """A stream that nobody chose and the key may not read."""

    stream: str
    reason: str


Event = Started | Records | Checkpoint | Finished | Failed | LeftOut


class Interrupted(Exception):
    """The sync was asked to stop; what was handed out stays true."""


@dataclass
class Node:
    """A stream in the tree of what hangs below a list.

    Attributes:
        selected: None where the stream is only read for its children.
    """

    stream: IncidentStream
    selected: Selected | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def consumers(self) -> list[Selected]:
        return [node.selected for node in self.walk() if node.selected]


@dataclass
class Pass:
    """One chain of pages of a list, for one or more consumers.

    Attributes:
        modes: the incident modes that it asks for.
        since: the filter as it is sent; None: none.
        after: the page to begin with; None: the first.
        began: the bookmark it leaves; None: the moment the sync began.
        floors: by consumer and mode, the moment from which on that consumer wants records; None: all.
    """

    modes: tuple[str, ...]
    since: str | None = None
    after: str | None = None
    began: datetime | None = None
    floors: dict[str, dict[str, datetime | None]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.since is None and self.after is None


class NestedRows:
    """The rows of a whole list by incident, for a nested column. A row that comes again counts once."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Record]] = {}
        self.error: Exception | None = None
        self.complete = asyncio.Event()
        self.pages = 0
        self.passes = 0

    def add(self, records: Iterable[Record]) -> None:
        self.pages += 1
        for record in records:
            self._rows.setdefault(record.get("incident_id", ""), {})[record.get("id", "")] = record

    def done(self, error: Exception | None = None) -> None:
        self.passes -= 1
        self.error = self.error or error
        if self.passes <= 0 or self.error:
            self.complete.set()

    def of(self, incident_id: str) -> list[Record]:
        return list(self._rows.get(incident_id, {}).values())


class Workers:
    """The threads that make the requests; whoever waits is served by priority, then in order."""

    def __init__(self, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="request")
        self._free = count
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    async def run(self, priority: int, call: Callable[[], T]) -> T:
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
            return await loop.run_in_executor(self._executor, call)
        finally:
            self._release()

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _release(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Sync:
    """One sync of the selected streams.

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
        self._by_class = {type(stream): stream for stream in streams.values()}
        self._selected = {item.stream.name: item for item in selected}
        self._over: set[str] = set()
        self._started: set[str] = set()
        self._began: datetime | None = None
        self._gone: dict[str, int] = {}
        self._rows: dict[str, NestedRows] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    def run(self) -> Iterator[Event]:
        """Reads everything.

        Yields:
            What happens, in a safe order: a Checkpoint is true of the Records before it.

        Raises:
            Interrupted: `stop` was called.
        """
        loop = self._loop = asyncio.new_event_loop()
        self._workers = Workers(self._config.num_workers)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(EVENTS_AHEAD)
        self._stop = asyncio.Event()
        main = loop.create_task(self._read_all())
        try:
            while True:
                event = loop.run_until_complete(self._next_event(main))
                if self._stopping:
                    raise Interrupted
                if event is None:
                    break
                yield event
        finally:
            self._client.stop()
            for task in (main, *self._tasks):
                task.cancel()
            loop.run_until_complete(asyncio.gather(main, *self._tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            self._workers.close()
            loop.close()
        for name, count in self._gone.items():
            logger.info(
                "%s: %d parents were gone before their records could be read, they are skipped",
                name,
                count,
            )

    def stop(self) -> None:
        """Ends the sync: no more pages. May be called from a signal handler."""
        self._stopping = True
        self._client.stop()
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _next_event(self, main: "asyncio.Task[None]") -> Event | None:
        if not self._events.empty():
            return self._events.get_nowait()
        get = asyncio.ensure_future(self._events.get())
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({get, stop, main}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if get.done():
            return get.result()
        get.cancel()
        if main.done() and not self._stopping:
            main.result()
            return None if self._events.empty() else self._events.get_nowait()
        return None

    # What to read

    async def _read_all(self) -> None:
        trees = self._trees()
        plans = [(tree, self._passes(tree)) for tree in trees]
        self._share_nested_rows(plans)
        await _all(self._read_tree(tree, passes) for tree, passes in plans)

    def _trees(self) -> list[Node]:
        """The selected streams as trees, a root for each list that is not below another."""
        nodes: dict[tuple[str, str], Node] = {}
        roots: list[Node] = []

        def node_of(stream: IncidentStream, filters: Mapping[str, Any]) -> Node:
            key = (stream.name, repr(filters))
            if key in nodes:
                return nodes[key]
            node = nodes[key] = Node(stream, filters=filters)
            if isinstance(stream, ChildStream):
                node_of(self._by_class[stream.parent], stream.parent_query).children.append(node)
            else:
                roots.append(node)
            return node

        for item in self._selected.values():
            node_of(item.stream, {}).selected = item
        return roots

    def _passes(self, tree: Node) -> list[Pass]:
        """The passes that a tree needs: the fewest that serve every consumer from where it is."""
        stream = tree.stream
        modes: tuple[str, ...] = self._config.incident_modes if stream.mode_parameter else ("",)
        if not isinstance(stream, CursorStream):
            return [Pass(modes, floors={item.stream.name: {"": None} for item in tree.consumers()})]
        passes: dict[tuple[Any, ...], Pass] = {}
        for mode in modes:
            fresh: dict[str, datetime | None] = {}
            for item in tree.consumers():
                name = item.stream.name
                place = item.progress.places[mode] if item.progress else Place()
                floor = self._floor(stream, place)
                if not place.resume:
                    fresh[name] = floor
                    continue
                resume = place.resume
                key = (self._series(stream, mode), resume)
                self._join(
                    passes,
                    key,
                    Pass((), resume.since, resume.after, resume.began),
                    mode,
                    {name: floor},
                )
            if fresh:
                earliest = None if None in fresh.values() else min(floor for floor in fresh.values() if floor)
                since = stream.since_filter(earliest) if earliest and isinstance(stream, IncrementalStream) else None
                self._join(passes, (self._series(stream, mode), since), Pass((), since), mode, fresh)
        return list(passes.values())

    @staticmethod
    def _series(stream: IncidentStream, mode: str) -> str:
        """Modes of the same series can come in one request."""
        return "" if stream.modes_in_one_request or mode in DEFAULT_MODES else mode

    @staticmethod
    def _join(
        passes: dict[tuple[Any, ...], Pass],
        key: tuple[Any, ...],
        new: Pass,
        mode: str,
        floors: Mapping[str, datetime | None],
    ) -> None:
        joined = passes.setdefault(key, new)
        if mode not in joined.modes:
            joined.modes += (mode,)
        for name, floor in floors.items():
            joined.floors.setdefault(name, {})[mode] = floor

    def _floor(self, stream: CursorStream, place: Place) -> datetime | None:
        """The moment from which on records are wanted: the bookmark less the lookback, or the start date."""
        return place.bookmark - stream.lookback if place.bookmark else self._config.start_date

    def _share_nested_rows(self, plans: list[tuple[Node, list[Pass]]]) -> None:
        """Where a nested column's list is read whole for its own stream, its rows are taken from those pages."""
        wanted = {
            column: name
            for tree, _ in plans
            if tree.selected
            for column, name in tree.stream.nested.items()
            if column in tree.selected.nested
        }
        for tree, passes in plans:
            name = tree.stream.name
            if name in wanted.values() and tree.selected and all(item.whole for item in passes):
                rows = self._rows[name] = NestedRows()
                rows.passes = len(passes)

    # Reading

    async def _read_tree(self, tree: Node, passes: list[Pass]) -> None:
        """Reads all passes of a tree; what its streams come to is told here."""
        try:
            below = [item.stream.name for item in tree.consumers() if item.stream.name != tree.stream.name]
            work: list[Coroutine[Any, Any, None]] = [self._read_pass(tree, one) for one in passes]
            if tree.stream.still_open and any(one.since for one in passes) and below:
                work.append(self._read_open(tree, passes))
            await _all(work)
        except (Stopped, asyncio.CancelledError):
            raise
        except AuthenticationError as error:
            for item in self._selected.values():
                await self._fail(item, error)
            return
        except Exception as error:
            for item in tree.consumers():
                await self._fail(item, error)
            return
        for item in tree.consumers():
            if item.stream.name not in self._over:
                await self._start(item)
                self._over.add(item.stream.name)
                await self._events.put(Finished(item.stream.name))

    async def _read_pass(self, tree: Node, one: Pass) -> None:
        rows = self._rows.get(tree.stream.name)
        try:
            for attempt in itertools.count():
                try:
                    await self._read_pages(tree, one, rows)
                    break
                except NotFoundError as error:
                    # The page hangs on a record (`after`); the API answers 404 once that record is gone.
                    if attempt >= RESTARTS or not one.after:
                        raise
                    logger.warning(
                        "%s: the page to go on from is gone (%s), this pass starts again from its bookmark",
                        tree.stream.name,
                        error.message,
                    )
                    self._restart(tree, one)
        except Exception as error:
            if rows:
                rows.done(error)
            raise
        if rows:
            rows.done()

    def _restart(self, tree: Node, one: Pass) -> None:
        one.after, one.began = None, None
        for item in tree.consumers():
            if item.progress and item.stream.name in one.floors:
                for mode in one.floors[item.stream.name]:
                    item.progress.places[mode] = item.progress.places[mode].restarted()

    async def _read_pages(self, tree: Node, one: Pass, rows: NestedRows | None) -> None:
        slice_: Slice = {
            **({"modes": one.modes} if tree.stream.mode_parameter else {}),
            **({"since": one.since} if one.since else {}),
            **({"filters": tree.filters} if tree.filters else {}),
        }
        nested = _Nested(self, tree, one)
        ahead: list[asyncio.Task[None]] = []
        try:
            async for page, after in self._pages(tree.stream, slice_, one.after, priority=0):
                if rows is not None:
                    rows.add(page.records)
                await nested.decide(page)
                previous = ahead[-1] if ahead else None
                ahead.append(asyncio.ensure_future(self._emit_page(tree, one, slice_, page, nested, previous)))
                one.after = after
                if len(ahead) >= PAGES_AHEAD:
                    await ahead.pop(0)
            await _all(ahead)
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def _pages(
        self, stream: IncidentStream, slice_: Slice, after: str | None, priority: int
    ) -> AsyncIterator[tuple[Page, str | None]]:
        """The pages of a chain, with where the next one is.

        Raises:
            UnexpectedAnswerError: a page comes again; the chain would never end.
        """
        seen = {after}
        while True:
            page = await self._workers.run(priority, lambda: stream.read_page(slice_, after))  # noqa: B023
            if self._began is None:
                # A clock ahead of the other would move the bookmark past what it has not seen: take the earlier one.
                now = datetime.now(UTC)
                self._began = min(page.began, now) if page.began else now
            if page.after is not None and page.after in seen:
                raise UnexpectedAnswerError(
                    f"{stream.name}: the API gives the same page again (after={page.after[:60]}), the list would never "
                    "end. Run the sync again later, and report it if it stays"
                )
            yield page, page.after
            if page.after is None:
                return
            after = page.after
            seen.add(after)

    async def _emit_page(
        self,
        tree: Node,
        one: Pass,
        slice_: Slice,
        page: Page,
        nested: "_Nested",
        previous: "asyncio.Task[None] | None",
    ) -> None:
        """Hands out a page's records and their children; then, after the pages before it, the checkpoint."""
        await self._start(tree.selected)
        wanted = self._wanted(tree, one, page.records)
        if tree.selected and tree.selected.stream.name in one.floors:
            name = tree.stream.name
            records = [record for record, names in zip(page.records, wanted, strict=True) if name in names]
        else:
            records = []
        below: dict[int, dict[str, list[Record]]] = {}
        if tree.selected and records:
            try:
                below = await nested.fill(records)
                await self._hand_out(tree.selected, records)
            except AuthenticationError:
                raise
            except ApiError as error:
                # Without its nested columns an incident would not be true; what hangs below it can go on.
                await self._fail(tree.selected, error)
        if tree.children:
            await _all(
                self._read_children(tree, record, slice_, names, below.get(id(record), {}))
                for record, names in zip(page.records, wanted, strict=True)
                if names
            )
        if previous:
            await previous
        await self._checkpoint(tree, one, page.after, nested)

    def _wanted(self, tree: Node, one: Pass, records: list[Record]) -> list[frozenset[str]]:
        """For each record, which consumers want it."""
        everybody = frozenset(one.floors)
        floors = [(name, by_mode) for name, by_mode in one.floors.items()]
        if not isinstance(tree.stream, CursorStream) or all(
            floor is None for _, by_mode in floors for floor in by_mode.values()
        ):
            return [everybody] * len(records)
        cursor_field = tree.stream.cursor_field
        by_mode = len(one.modes) > 1
        result = []
        for record in records:
            cursor = cursor_of(record, cursor_field)
            mode = str(record.get("mode")) if by_mode else one.modes[0]
            result.append(
                frozenset(
                    name for name, of_mode in floors if _passes_floor(cursor, of_mode.get(mode, _lowest(of_mode)))
                )
            )
        return result

    async def _read_children(
        self,
        node: Node,
        record: Record,
        slice_: Slice,
        wanted: frozenset[str],
        known: Mapping[str, list[Record]],
    ) -> None:
        """Reads what hangs below one record."""
        await _all(
            self._read_child(child, child_slice, wanted, known.get(child.stream.name))
            for child in node.children
            if wanted & {item.stream.name for item in child.consumers()} - self._over
            and isinstance(child.stream, ChildStream)
            and (child_slice := child.stream.slice_of(record, slice_))
        )

    async def _read_child(self, node: Node, slice_: Slice, wanted: frozenset[str], known: list[Record] | None) -> None:
        name = node.stream.name
        try:
            if known is not None:
                await self._emit_child(node, slice_, known, wanted)
                return
            async for page, _ in self._pages(node.stream, slice_, None, priority=1):
                await self._emit_child(node, slice_, page.records, wanted)
                if not {item.stream.name for item in node.consumers()} - self._over:
                    return
        except NotFoundError:
            # The parent was there on its page and is gone now, or never had such a thing: no error of the sync.
            self._gone[name] = self._gone.get(name, 0) + 1
        except ApiError as error:
            if isinstance(error, AuthenticationError):
                raise
            for item in node.consumers():
                await self._fail(item, error)

    async def _emit_child(self, node: Node, slice_: Slice, records: list[Record], wanted: frozenset[str]) -> None:
        if records and node.stream.name in wanted:
            await self._hand_out(node.selected, records)
        if node.children:
            await _all(self._read_children(node, record, slice_, wanted, {}) for record in records)

    async def _read_open(self, tree: Node, passes: list[Pass]) -> None:
        """The children of incidents that are open and did not change: theirs can have changed all the same."""
        slice_: Slice = {
            "modes": self._config.incident_modes,
            "filters": tree.stream.still_open,
        }
        floors: dict[str, dict[str, datetime | None]] = {}
        for one in passes:
            for name, by_mode in one.floors.items():
                if name != tree.stream.name:
                    floors.setdefault(name, {}).update(by_mode)
        async for page, _ in self._pages(tree.stream, slice_, None, priority=0):
            work = []
            for record in page.records:
                cursor = cursor_of(record, "updated_at")
                names = frozenset(
                    name
                    for name, by_mode in floors.items()
                    if not _passes_floor(cursor, by_mode.get(str(record.get("mode")), _lowest(by_mode)))
                )
                if names:
                    work.append(self._read_children(tree, record, slice_, names, {}))
            await _all(work)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work that nobody awaits; it handles its own failures."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _collect(self, stream: IncidentStream, slice_: Slice, priority: int = 1) -> list[Record]:
        """All records of a slice."""
        records: list[Record] = []
        async for page, _ in self._pages(stream, slice_, None, priority):
            records += page.records
        return records

    # Telling

    async def _start(self, item: Selected | None) -> None:
        if item and item.stream.name not in self._started:
            self._started.add(item.stream.name)
            await self._events.put(Started(item.stream.name))

    async def _hand_out(self, item: Selected | None, records: list[Record]) -> None:
        if item and item.stream.name not in self._over:
            await self._start(item)
            await self._events.put(Records(item.stream.name, records))

    async def _checkpoint(self, tree: Node, one: Pass, after: str | None, nested: "_Nested") -> None:
        began = one.began or self._began
        for item in tree.consumers():
            name = item.stream.name
            if not item.progress or name not in one.floors or name in self._over or began is None:
                continue
            for mode in one.floors[name]:
                place = item.progress.places[mode]
                item.progress.places[mode] = place.reached(after, one.since, began) if after else place.finished(began)
            if item is tree.selected:
                item.progress.nested_pages.update(nested.pages())
            await self._events.put(Checkpoint(name, item.progress.state()))

    async def _fail(self, item: Selected, error: Exception) -> None:
        if item.stream.name in self._over:
            return
        self._over.add(item.stream.name)
        refused = isinstance(error, ForbiddenError | NotFoundError)
        if item.optional and refused and item.stream.name not in self._started:
            await self._events.put(LeftOut(item.stream.name, str(error)))
            return
        await self._start(item)
        await self._events.put(Failed(item.stream.name, error))


class _Nested:
    """The nested columns of one pass: which are wanted, and how each is got with the fewest requests."""

    def __init__(self, sync: Sync, tree: Node, one: Pass) -> None:
        self._sync = sync
        self._one = one
        self._selected = tree.selected
        wanted = tree.selected.nested if tree.selected and tree.selected.stream.name in one.floors else frozenset()
        self._columns = {column: sync._streams[name] for column, name in tree.stream.nested.items() if column in wanted}
        self._rows: dict[str, NestedRows] = {}
        self._decided = False
        self._tree = tree

    def pages(self) -> Mapping[str, int]:
        """How many pages each whole list had, for the next sync's choice."""
        return {column: rows.pages for column, rows in self._rows.items() if rows.complete.is_set() and not rows.error}

    async def decide(self, page: Page) -> None:
        """Chooses, at the first page, between a request an incident and one pass over the whole list."""
        if self._decided:
            return
        self._decided = True
        name = self._tree.stream.name
        changed = (
            page.total
            if page.total is not None and page.after
            else len([names for names in self._sync._wanted(self._tree, self._one, page.records) if name in names])
        )
        known = self._selected.progress.nested_pages if self._selected and self._selected.progress else {}
        for column, stream in self._columns.items():
            if isinstance(stream, ChildStream):
                continue
            if stream.name in self._sync._rows and not self._sync._rows[stream.name].error:
                self._rows[column] = self._sync._rows[stream.name]
            elif self._one.since is None or changed > known.get(column, FEW):
                self._rows[column] = rows = NestedRows()
                series: dict[str, tuple[str, ...]] = {}
                for mode in self._sync._config.incident_modes if stream.mode_parameter else ("",):
                    key = self._sync._series(stream, mode)
                    series[key] = (*series.get(key, ()), mode)
                rows.passes = len(series)
                for modes in series.values():
                    self._sync._background(self._read_whole(stream, modes, rows))

    async def _read_whole(self, stream: IncidentStream, modes: tuple[str, ...], rows: NestedRows) -> None:
        slice_: Slice = {"modes": modes} if stream.mode_parameter else {}
        try:
            async for page, _ in self._sync._pages(stream, slice_, None, priority=0):
                rows.add(page.records)
        except Exception as error:
            rows.done(error)
        else:
            rows.done()

    async def fill(self, records: list[Record]) -> dict[int, dict[str, list[Record]]]:
        """Puts the nested columns into the records.

        Returns:
            By the id() of a record, the rows that were read for it, by the stream they are of.
        """
        read: dict[int, dict[str, list[Record]]] = {}
        if not self._columns or not records:
            return read
        for column, rows in self._rows.items():
            await rows.complete.wait()
            if rows.error:
                self._unreadable(column, rows.error)
        await _all(self._fill_one(record, read) for record in records)
        return read

    async def _fill_one(self, record: Record, read: dict[int, dict[str, list[Record]]]) -> None:
        for column, stream in self._columns.items():
            if column in self._rows:
                record[column] = self._rows[column].of(record["id"]) or None
                continue
            slice_: dict[str, Any] = {"incident_id": record["id"]}
            if not isinstance(stream, ChildStream):
                slice_ = {"filters": slice_}
                mode = record.get("mode")
                if stream.mode_parameter and mode not in DEFAULT_MODES:
                    slice_["modes"] = (mode,)
            try:
                rows = await self._sync._collect(stream, slice_)
            except NotFoundError:
                rows = []
            except ForbiddenError as error:
                self._unreadable(column, error)
                rows = []
            else:
                read.setdefault(id(record), {})[stream.name] = rows
            # Null where there are none, as the Go tap has it.
            record[column] = rows or None

    def _unreadable(self, column: str, error: Exception) -> None:
        """A column that the key may not read stays null, said once; any other failure is the stream's."""
        if not isinstance(error, ForbiddenError):
            raise error
        if column in self._columns:
            logger.warning(
                "%s: the nested column %s stays empty: %s",
                self._tree.stream.name,
                column,
                error.message,
            )
            del self._columns[column]


def _passes_floor(cursor: datetime | None, floor: datetime | None) -> bool:
    return floor is None or cursor is None or cursor >= floor


def _lowest(floors: Mapping[str, datetime | None]) -> datetime | None:
    """The lowest of some consumers' floors, for a record of a mode that nobody asked for."""
    values = list(floors.values())
    return None if None in values else min(value for value in values if value)


async def _all(work: Iterable[Any]) -> None:
    """Awaits everything; the first failure cancels the rest."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if any(not task.done() for task in tasks):
            await asyncio.gather(*tasks, return_exceptions=True)
