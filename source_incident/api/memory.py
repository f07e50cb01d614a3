"""The memory of answers: one budget for all requests of a client.

A page is counted from the first byte that is read until it is emitted and freed. Small pages are free. A larger page
waits until there is room in the budget. One page may exceed it, so that the largest page that is accepted can be read.
"""

import ctypes
import threading
import time
from collections.abc import Callable

from source_incident.api.errors import Cancelled, TransientError, UnexpectedAnswerError

MB = 2**20
# A page of so many bytes of memory is free: it never waits for others. The largest pages seen take 30 MB.
SMALL_PAGE = 8 * MB
LARGEST_PAGE = 128 * MB
BUDGET = 96 * MB
# Memory is reserved in such steps.
STEP = 4 * MB
# A page that has waited so long, in seconds, while no memory was freed, may exceed the budget: the pages that hold the
# memory can wait for this one.
PATIENCE = 60.0
LARGEST_BUDGET = BUDGET + LARGEST_PAGE
# A page that has waited so long, in seconds, is not read.
LONGEST_WAIT = 1800.0
POLL = 0.1
# Parameters of mallopt in <malloc.h> of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def return_freed_memory() -> None:
    """Have the C library return freed memory to the system.

    It is for the whole process. By default glibc keeps up to 64 MB for each thread, once large blocks were freed. With
    other C libraries nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, MB)
    mallopt(M_TRIM_THRESHOLD, STEP)


class MemoryBudget:
    """The budget.

    Args:
        is_cancelled: asked while a page waits.
    """

    def __init__(self, is_cancelled: Callable[[], bool]) -> None:
        self._is_cancelled = is_cancelled
        # Reentrant: the garbage collector can free a page inside the lock.
        self._changed = threading.Condition(threading.RLock())
        self._used = 0
        self._held = 0
        self._freed_at = time.monotonic()
        # The pages that are being read, in the order in which they exceeded SMALL_PAGE.
        self._reading: dict[int, None] = {}

    @property
    def used(self) -> int:
        """The bytes that larger pages hold."""
        return self._used

    def reserve(self, page: "PageMemory", size: int) -> float:
        """Reserve memory for a page, in total. It waits for room.

        Returns:
            The seconds waited.

        Raises:
            UnexpectedAnswerError: the page is too large.
            TransientError: other pages held the memory for too long.
            Cancelled: the run is being stopped.
        """
        check_size(size)
        page.total = size
        if size <= max(SMALL_PAGE, page.size):
            return 0.0
        size = min(-(-size // STEP) * STEP, LARGEST_PAGE)
        started_at = time.monotonic()
        with self._changed:
            self._reading.setdefault(id(page))
            while not self._has_room(page, size, started_at):
                if self._is_cancelled():
                    raise Cancelled
                if time.monotonic() - started_at > LONGEST_WAIT:
                    raise TransientError(f"other answers held the memory for {LONGEST_WAIT:g} s")
                self._changed.wait(POLL)
            self._used += size - page.size
            page.size = size
        return time.monotonic() - started_at

    def read(self, page: "PageMemory") -> None:
        """Note that a page has been read and parsed."""
        with self._changed:
            self._reading.pop(id(page), None)
            self._changed.notify_all()

    def hold(self, page: "PageMemory") -> None:
        """Note that a page waits for others that are still to be read. It does not stop the first of these."""
        with self._changed:
            if not page.is_held:
                page.is_held = True
                self._held += page.size
                self._changed.notify_all()

    def free(self, page: "PageMemory") -> None:
        """Return the memory of a page."""
        with self._changed:
            self._reading.pop(id(page), None)
            if page.size:
                self._used -= page.size
                self._held -= page.size if page.is_held else 0
                page.size = 0
                self._freed_at = time.monotonic()
                self._changed.notify_all()

    def _has_room(self, page: "PageMemory", size: int, started_at: float) -> bool:
        others = self._used - page.size
        if others + size <= BUDGET:
            return True
        # The first of the pages that are being read can always finish. Otherwise each could hold a part for ever.
        if others - self._held <= BUDGET and next(iter(self._reading)) == id(page):
            return True
        now = time.monotonic()
        if now - max(started_at, self._freed_at) < PATIENCE or others + size > LARGEST_BUDGET:
            return False
        self._freed_at = now
        return True


class PageMemory:
    """The memory of one page. It is freed with the object, which the page keeps.

    Args:
        budget: the budget that it is a part of; None: it is not reserved.
        total: the bytes that the page takes at most.

    Attributes:
        size: the reserved bytes; 0: the page is small.
        is_held: the page waits for others.
    """

    __slots__ = ("_budget", "is_held", "size", "total")

    def __init__(self, budget: MemoryBudget | None = None, total: int = 0) -> None:
        self.size = 0
        self.is_held = False
        self.total = total
        self._budget = budget

    def hold(self) -> None:
        """Keep the memory until other pages were read too."""
        if self._budget:
            self._budget.hold(self)

    def __del__(self) -> None:
        if self._budget and self.size:
            self._budget.free(self)


def check_size(size: int) -> None:
    """Check that an answer, or a page with its nested records, does not take too many bytes of memory.

    Raises:
        UnexpectedAnswerError: it does.
    """
    if size > LARGEST_PAGE:
        raise UnexpectedAnswerError(f"the answer would take more than {LARGEST_PAGE // MB} MB of memory")
