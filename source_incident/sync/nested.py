"""The nested columns of incidents: taken from whole lists, or asked for incident by incident."""

import asyncio
import logging
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from source_incident.api import ApiError, ForbiddenError, NotFoundError
from source_incident.config import DEFAULT_MODES, Config
from source_incident.streams.base import ChildStream, IncidentStream, Page, Record, Slice
from source_incident.sync.plan import ListScan, StreamNode, series, wanted_by
from source_incident.sync.reader import Reader
from source_incident.sync.workers import together

logger = logging.getLogger("airbyte.incident.sync")

# Asking incident by incident is taken for so few changed incidents, where the length of the whole list is unknown.
FEW = 10


class NoRoomError(ApiError):
    """The temporary directory does not take what is joined there."""


class NestedRows:
    """The rows of a whole list by incident. A row that comes again counts once.

    They lie in a temporary SQLite database, which keeps a few MB in memory and the rest in a file that is gone with
    the process: a list can be larger than the memory.
    """

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None
        self.error: Exception | None = None
        self.complete = asyncio.Event()
        self.pages = 0
        self.passes = 1

    def add(self, records: Iterable[Record]) -> None:
        """Takes in a page."""
        self.pages += 1
        try:
            self._opened().executemany(
                "INSERT OR REPLACE INTO row VALUES (?, ?, ?)",
                [(str(record.get("incident_id")), str(record.get("id")), orjson.dumps(record)) for record in records],
            )
        except sqlite3.Error as error:
            self.error = self.error or NoRoomError(
                f"no room to join nested columns in the temporary directory ({error}). Make room there, or name "
                "another directory with TMPDIR"
            )
            self.complete.set()

    def done(self, error: Exception | None = None) -> None:
        """One of the passes has ended."""
        self.passes -= 1
        self.error = self.error or error
        if self.passes <= 0 or self.error:
            self.complete.set()

    def of(self, incident_id: str) -> list[Record]:
        """The rows of one incident, in the order in which they came."""
        found = self._opened().execute("SELECT body FROM row WHERE incident_id = ? ORDER BY rowid", (incident_id,))
        return [orjson.loads(body) for (body,) in found]

    def close(self) -> None:
        if self._database:
            self._database.close()

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            # An empty name is SQLite's temporary database: in memory up to its cache, then on disk.
            self._database = sqlite3.connect("", isolation_level=None)
            self._database.execute("PRAGMA cache_size = -8000")
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute("CREATE TABLE row (incident_id, id, body, UNIQUE (incident_id, id))")
        return self._database


class NestedColumns:
    """The nested columns of one pass: which are wanted, and how each is got with the fewest requests.

    Args:
        shared: by stream, the rows that its own pass leaves here.
    """

    def __init__(
        self,
        reader: Reader,
        config: Config,
        streams: Mapping[str, IncidentStream],
        shared: Mapping[str, NestedRows],
        tree: StreamNode,
        one: ListScan,
    ) -> None:
        self._reader = reader
        self._config = config
        self._shared = shared
        self._tree = tree
        self._one = one
        selected = tree.selected if tree.stream.name in one.floors else None
        self._columns = {
            column: streams[name]
            for column, name in tree.stream.nested.items()
            if selected and column in selected.nested
        }
        self._known = selected.progress.nested_pages if selected and selected.progress else {}
        self._whole: dict[str, NestedRows] = {}
        self._answered: set[str] = set()
        self._refused: dict[str, ForbiddenError] = {}
        self._decided = False

    def pages(self) -> Mapping[str, int]:
        """How many pages each whole list had, for the next sync's choice."""
        return {column: rows.pages for column, rows in self._whole.items() if rows.complete.is_set() and not rows.error}

    def decide(self, page: Page) -> None:
        """Chooses, at the first page, between a request an incident and one pass over the whole list."""
        if self._decided:
            return
        self._decided = True
        name = self._tree.stream.name
        changed = sum(name in names for names in wanted_by(self._tree, self._one, page.records))
        if page.after and page.total is not None:
            changed = max(changed, page.total)
        for column, stream in self._columns.items():
            if isinstance(stream, ChildStream):
                continue
            shared = self._shared.get(stream.name)
            if shared and not shared.error:
                self._whole[column] = shared
            elif self._one.since is None or changed > self._known.get(column, FEW):
                self._whole[column] = self._read_whole(stream)

    async def fill(self, records: list[Record]) -> dict[int, dict[str, list[Record]]]:
        """Puts the nested columns into the records.

        Returns:
            By the id() of a record, the rows that were asked for it alone, by the stream they are of.

        Raises:
            ApiError: a column can't be read; without it the records would not be true.
        """
        asked: dict[int, dict[str, list[Record]]] = {}
        if not self._columns or not records:
            return asked
        for column, rows in list(self._whole.items()):
            await rows.complete.wait()
            if rows.pages:
                self._readable(column)
            if rows.error:
                self._unreadable(column, rows.error)
        if all(column in self._whole for column in self._columns):
            for record in records:
                self._take(record)
        else:
            await together(self._ask(record, asked) for record in records)
        return asked

    def _take(self, record: Record) -> None:
        for column, rows in self._whole.items():
            if column in self._columns:
                # Null where there are none, as the Go tap has it.
                record[column] = rows.of(record["id"]) or None

    async def _ask(self, record: Record, asked: dict[int, dict[str, list[Record]]]) -> None:
        self._take(record)
        for column, stream in list(self._columns.items()):
            if column in self._whole:
                continue
            rows: list[Record] = []
            try:
                rows = await self._reader.collect(stream, self._slice(stream, record))
                self._readable(column)
                asked.setdefault(id(record), {})[stream.name] = rows
            except NotFoundError:
                pass  # the incident is gone by now; what was read of it stays true
            except ForbiddenError as error:
                self._unreadable(column, error)
            record[column] = rows or None

    @staticmethod
    def _slice(stream: IncidentStream, record: Record) -> Slice:
        if isinstance(stream, ChildStream):
            return {"incident_id": record["id"]}
        slice_: dict[str, Any] = {"filters": {"incident_id": record["id"]}}
        if stream.mode_parameter and record.get("mode") not in DEFAULT_MODES:
            slice_["modes"] = (record.get("mode"),)
        return slice_

    def _read_whole(self, stream: IncidentStream) -> NestedRows:
        """Starts to read a whole list, of all incident modes."""
        by_series: dict[str, tuple[str, ...]] = {}
        for mode in self._config.incident_modes if stream.mode_parameter else ("",):
            by_series[series(stream, mode)] = (*by_series.get(series(stream, mode), ()), mode)
        rows = NestedRows()
        rows.passes = len(by_series)
        for modes in by_series.values():
            self._reader.background(self._read_series(stream, modes, rows))
        return rows

    async def _read_series(self, stream: IncidentStream, modes: tuple[str, ...], rows: NestedRows) -> None:
        try:
            async for page in self._reader.pages(stream, {"modes": modes} if stream.mode_parameter else {}):
                rows.add(page.records)
        except Exception as error:
            rows.done(error)
        else:
            rows.done()

    def _readable(self, column: str) -> None:
        """A column answered: that the key may not read it, as was said before, was no true word."""
        self._answered.add(column)
        if column in self._refused:
            raise self._refused[column]

    def _unreadable(self, column: str, error: Exception) -> None:
        """A column that the key may not read stays null, said once; any other failure is the stream's.

        So is a refusal in the middle: some records would come with the column, and some without.
        """
        if not isinstance(error, ForbiddenError) or column in self._answered:
            raise error
        self._refused[column] = error
        if self._columns.pop(column, None):
            logger.warning("%s: the nested column %s stays empty: %s", self._tree.stream.name, column, error.message)
