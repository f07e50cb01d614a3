"""Reads chains of pages through the worker threads."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from source_incident.api import NotFoundError, TransientError, UnexpectedAnswerError
from source_incident.streams.base import IncidentStream, Page, Record, Slice
from source_incident.sync.workers import Workers

# Who goes first where requests wait for a worker: the pages of a list, which come one after the other, before the
# requests that fan out from them.
CHAIN, FAN_OUT = 0, 1
# How often a list starts again because the record that its next page hangs on is gone.
RESTARTS = 3

logger = logging.getLogger("airbyte.incident.sync")


class PageGoneError(TransientError):
    """The record that a page hangs on (`after`) is gone; the API answers 404. What lies behind it was not read."""


class Reader:
    """What reads pages in one sync.

    Attributes:
        began: the moment the sync began, by the server's clock; None until the first answer.
    """

    def __init__(self, workers: Workers) -> None:
        self.began: datetime | None = None
        self._workers = workers
        self._tasks: set[asyncio.Task[None]] = set()

    async def pages(
        self,
        stream: IncidentStream,
        slice_: Slice,
        after: str | None = None,
        priority: int = CHAIN,
        wanted: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[Page]:
        """The pages of a chain.

        Args:
            after: where the first page starts; None: at the beginning.
            wanted: asked before each request; where it is not, the chain ends.

        Raises:
            UnexpectedAnswerError: a page comes again; the chain would never end.
            PageGoneError: there is no page after `after` any more.
            ApiError: what the client raises.
        """
        seen = {after}
        while True:
            now = datetime.now(UTC)
            try:
                page = await self._workers.run(priority, lambda: stream.read_page(slice_, after), wanted)  # noqa: B023
            except NotFoundError as error:
                if after is None:
                    raise
                raise PageGoneError(error.message, status=error.status, request_id=error.request_id) from None
            if page is None:
                return
            if self.began is None:
                # A clock ahead of the other would move the bookmark past what it has not seen: take the earlier one.
                self.began = min(page.began, now) if page.began else now
            if page.after is not None and page.after in seen:
                raise UnexpectedAnswerError(
                    f"the API gives the same page again (after={page.after[:60]}), the list would never "
                    "end. Run the sync again later, and report it if it stays"
                )
            yield page
            if page.after is None:
                return
            after = page.after
            seen.add(after)

    async def collect(self, stream: IncidentStream, slice_: Slice) -> list[Record]:
        """All records of a slice."""
        records: list[Record] = []

        async def read() -> None:
            records.clear()
            async for page in self.pages(stream, slice_, priority=FAN_OUT):
                records.extend(page.records)

        await from_the_start(stream.name, read)
        return records

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work that nobody awaits; it handles its own failures."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends the work in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def from_the_start(what: str, read: Callable[[], Awaitable[None]], again: str = "this list starts again") -> None:
    """Reads a list, and where a page of it is gone reads it again from its start, a few times.

    Args:
        what: the list, for the log.
        again: what happens then, for the log.

    Raises:
        PageGoneError: the records went faster than the list could be read.
    """
    for attempt in itertools.count(1):
        try:
            await read()
            return
        except PageGoneError as error:
            if attempt > RESTARTS:
                raise PageGoneError(
                    f"{error.message}. Records went faster than their list could be read. Run the sync again",
                    status=error.status,
                    request_id=error.request_id,
                ) from None
            logger.warning("%s: the page to go on from is gone (%s), %s", what, error.message, again)
