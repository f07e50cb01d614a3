"""Reads the pages of a list in order, through the worker threads."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any

from source_incident import clock
from source_incident.api import (
    NotFoundError,
    PageMemory,
    RequestError,
    TransientError,
    UnexpectedAnswerError,
    check_size,
)
from source_incident.streams.base import IncidentStream
from source_incident.streams.page import Page, Record, Slice
from source_incident.streams.probe import Probes
from source_incident.sync.workers import Workers

# Priorities of requests. The pages of a list depend on each other, so they go before the requests for children.
LIST_PAGE, CHILD_PAGE = 0, 1
# How the API answers a cursor that it does not accept.
CURSOR_REFUSALS = (404, 422)
# How often a list restarts because the cursor of its next page has expired.
MAX_RESTARTS = 3
# A list may end this many records before its total, or this many percent of it, because records were deleted.
TOTAL_TOLERANCE = 5

logger = logging.getLogger("airbyte.incident.sync")


class PageExpiredError(TransientError):
    """The API does not accept a page's cursor any more (404 or 422). The rest of the list is unread.

    Attributes:
        error: the API's answer.
    """

    def __init__(self, error: NotFoundError | RequestError) -> None:
        reason = error.reason if isinstance(error, RequestError) else error.message
        super().__init__(reason, status=error.status, request_id=error.request_id)
        self.error = error


class PageReader:
    """Reads pages in one sync.

    Attributes:
        started_at: the moment the sync began, by the server's clock; None: no answer yet.
    """

    def __init__(self, workers: Workers) -> None:
        self.started_at: datetime | None = None
        self._workers = workers
        self._background_tasks: set[asyncio.Task[None]] = set()

    async def pages(
        self,
        stream: IncidentStream,
        slice_: Slice,
        after: str | None = None,
        priority: int = LIST_PAGE,
        is_needed: Callable[[], bool] = lambda: True,
        reads_whole_list: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[Page]:
        """Read the pages of a slice.

        Args:
            stream: the stream.
            slice_: the part of its list.
            after: the cursor of the first page; None: the beginning.
            priority: LIST_PAGE or CHILD_PAGE.
            is_needed: asked before each request; False ends the list.
            reads_whole_list: asked at the last page, whether the list must reach the total that the API reports.

        Raises:
            UnexpectedAnswerError: a page repeats, so the list would never end.
            PageExpiredError: a page's cursor has expired.
            ApiError: what the client raises.
        """
        seen = {after}
        count = 0
        reads_from_first_page = after is None
        was_short = False
        while True:
            now = clock.now()
            try:
                page = await self._workers.run(priority, lambda: stream.read_page(slice_, after), is_needed)  # noqa: B023
            except (NotFoundError, RequestError) as error:
                # The filter of a partition is refused at its first page already, so a later 4xx is the cursor's.
                if after is None or error.status not in CURSOR_REFUSALS:
                    raise
                raise PageExpiredError(error) from None
            if page is None:
                return
            if self.started_at is None:
                # The earlier of two clocks: the later one could move the bookmark past unseen changes.
                self.started_at = min(page.requested_at, now) if page.requested_at else now
            count += len(page.records)
            if page.after and page.is_short and page.total == count and reads_from_first_page:
                # A short page and the total together prove the end (docs/api.md, pages): no empty page is requested.
                page = replace(page, after=None)
            if page.after is not None and page.after in seen:
                raise UnexpectedAnswerError(
                    f"the API returns the same page again (after={page.after[:60]}), so the list would never end. Run "
                    "the sync again later. Report it if it happens again"
                )
            if page.after is None and _is_far_below(count, page.total) and reads_whole_list():
                if not was_short:
                    # The last page may be truncated: request it once more.
                    was_short = True
                    count -= len(page.records)
                    continue
                logger.warning(
                    "%s: the API reports %d records, but the list ended after %d",
                    stream.name,
                    page.total,
                    count,
                )
                page = replace(page, ends_early=True)
            yield page
            if page.after is None:
                return
            after = page.after
            seen.add(after)
            del page  # the next page may need its memory

    async def collect(self, stream: IncidentStream, slice_: Slice, memory: list[PageMemory]) -> list[Record]:
        """Read all records of a child's slice.

        Args:
            stream: the stream.
            slice_: the slice.
            memory: counts the memory of the records that they are collected for. Their own is added.

        Raises:
            UnexpectedAnswerError: together they would take too much memory.
            ApiError: what `pages` raises.
        """
        records: list[Record] = []
        own: list[PageMemory] = []

        async def read() -> None:
            records.clear()
            own.clear()
            async for page in self.pages(stream, slice_, priority=CHILD_PAGE):
                if page.memory:
                    own.append(page.memory)
                check_size(sum(part.total for part in (*memory, *own)))
                records.extend(page.records)
                del page  # the next page may need its memory

        await with_restarts(stream.name, read)
        for part in own:
            part.hold()
        memory += own
        return records

    async def probe(self, probes: Probes, stream: type[IncidentStream]) -> None:
        """Request one record of a stream. Raises what `Probes.probe` raises."""
        await self._workers.run(CHILD_PAGE, lambda: probes.probe(stream), lambda: True)

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that handles its own errors, until `close`."""
        task = asyncio.ensure_future(work)
        self._background_tasks.add(task)
        task.add_done_callback(self._background_tasks.discard)

    async def close(self) -> None:
        """Cancel the background work."""
        for task in self._background_tasks:
            task.cancel()
        await asyncio.gather(*self._background_tasks, return_exceptions=True)


def _is_far_below(count: int, total: int | None) -> bool:
    """Whether a list ended long before its total. The total can change, and may ignore filters (docs/api.md, pages)."""
    return total is not None and total - count > max(TOTAL_TOLERANCE, total * TOTAL_TOLERANCE // 100)


async def with_restarts(
    list_name: str, read: Callable[[], Awaitable[None]], consequence: str = "the list restarts"
) -> None:
    """Read a list, and read it again from its start where a page's cursor has expired, at most MAX_RESTARTS times.

    Args:
        list_name: the list's name, for the log.
        read: reads the whole list.
        consequence: what a restart means, for the log.

    Raises:
        RequestError: the API refuses the cursors that it returns.
        TransientError: the list's records are deleted faster than they are read.
    """
    for attempt in itertools.count(1):
        try:
            await read()
            return
        except PageExpiredError as error:
            if attempt > MAX_RESTARTS:
                if isinstance(error.error, RequestError):
                    raise error.error from None
                raise TransientError(
                    f"{error.message}. The records of the list were deleted faster than they were read. Run the sync "
                    "again",
                    status=error.status,
                    request_id=error.request_id,
                ) from None
            logger.warning("%s: the cursor of a page has expired (%s), %s", list_name, error.message, consequence)
