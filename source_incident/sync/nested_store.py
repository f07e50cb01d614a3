"""Stores the records of a nested list by incident, on disk."""

import asyncio
import sqlite3
from collections.abc import Iterable

import orjson

from source_incident.api import ApiError
from source_incident.json_limits import JsonSize
from source_incident.streams.page import Record


class StorageFullError(ApiError):
    """The temporary directory has no room for nested records."""


class NestedStore:
    """The records of a whole list by incident. A record that comes twice counts once.

    A temporary SQLite database keeps a few MB in memory and the rest in a file that disappears with the process. A
    list can be larger than the memory.

    Args:
        scans: how many scans fill the store.

    Attributes:
        complete: set when all scans have ended or one has failed.
        error: the first error of a scan or of the store.
        pages: how many pages were added.
    """

    def __init__(self, scans: int = 1) -> None:
        self.complete = asyncio.Event()
        self.error: Exception | None = None
        self.pages = 0
        self._scans = scans
        self._connection: sqlite3.Connection | None = None

    def add_page(self, records: Iterable[Record]) -> None:
        self.pages += 1
        try:
            self._database().executemany(
                "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)",
                map(_row, records),
            )
        except sqlite3.Error as error:
            self.error = self.error or StorageFullError(
                f"the temporary directory has no room to join nested columns ({error}). Make room there, or set TMPDIR "
                "to another directory"
            )
            self.complete.set()

    def scan_ended(self, error: Exception | None = None) -> None:
        self._scans -= 1
        self.error = self.error or error
        if self._scans <= 0 or self.error:
            self.complete.set()

    def records_of(self, incident_id: str) -> list[Record]:
        """The records of one incident, in the order in which they came."""
        rows = self._database().execute("SELECT body FROM record WHERE incident_id = ? ORDER BY rowid", (incident_id,))
        return [orjson.loads(body) for (body,) in rows]

    def size_of(self, incident_id: str) -> int:
        """The bytes of memory that the records of one incident take at most."""
        query = "SELECT coalesce(sum(size), 0) FROM record WHERE incident_id = ?"
        ((size,),) = self._database().execute(query, (incident_id,))
        return int(size)

    def close(self) -> None:
        if self._connection:
            self._connection.close()

    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            # An empty name is SQLite's temporary database: in memory up to its cache size, then on disk.
            self._connection = sqlite3.connect("", isolation_level=None)
            self._connection.execute("PRAGMA cache_size = -8000")
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute("CREATE TABLE record (incident_id, id, body, size, UNIQUE (incident_id, id))")
        return self._connection


def _row(record: Record) -> tuple[str, str, bytes, int]:
    body, size = orjson.dumps(record), JsonSize()
    size.add(body)
    return str(record.get("incident_id")), str(record.get("id")), body, size.memory
