"""Shows the progress of a sync on stderr: a live display on a terminal, or lines in the log."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from source_incident import stderr
from source_incident.sync.stats import SyncStats

if TYPE_CHECKING:
    from rich.console import RenderableType

# Between two log lines of a stream.
LOG_SECONDS = 30.0
FRAMES_PER_SECOND = 4
# Lines of the live display, and the smallest terminal that gets one.
MAX_LINES = 12
MIN_TERMINAL_LINES = 9

# Shows the stats while the context is open.
Show = Callable[[SyncStats], AbstractContextManager[None]]


def no_display(stats: SyncStats) -> AbstractContextManager[None]:
    """Show nothing."""
    return nullcontext()


@contextmanager
def log_lines(stats: SyncStats, logger: logging.Logger, seconds: float | None = None) -> Iterator[None]:
    """Regularly log a line for each stream that is being read.

    Args:
        seconds: between two lines of a stream; None: `LOG_SECONDS`.
    """

    def log() -> None:
        for name, stream in stats.active_streams():
            logger.info("%s: %s records, %.0f per second", name, stream.progress, stream.records_per_second)

    with _repeat(LOG_SECONDS if seconds is None else seconds, log):
        yield


@contextmanager
def request_count(label: str, limit: int, *, shown: bool) -> Iterator[Callable[[int], object]]:
    """Show on stderr's terminal how many requests were made. The caller passes each new count, from any thread."""
    if not shown or not os.isatty(2) or os.environ.get("TERM", "dumb") == "dumb":
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(label) as status:
        yield lambda count: status.update(f"{label}: {count} of at most {limit} requests")


@contextmanager
def live(stats: SyncStats, *, keep_totals: bool) -> Iterator[None]:
    """Show the totals and the streams that are being read on the last lines of stderr's terminal.

    Args:
        keep_totals: print the totals when the display closes.
    """
    from rich.console import Console

    console = Console(stderr=True)
    bottom_lines = _BottomLines(sys.stderr.fileno())

    def draw() -> None:
        with console.capture() as capture:
            console.print(_render(stats, bottom_lines.count), no_wrap=True, overflow="ellipsis", crop=True)
        bottom_lines.draw(capture.get().splitlines())

    _open_displays.append(bottom_lines)
    try:
        with _repeat(1 / FRAMES_PER_SECOND, draw):
            yield
    finally:
        restore_terminal()
    if keep_totals:
        stderr.write_line(stats.records_summary())
        stderr.write_line(stats.requests_summary())


def restore_terminal() -> None:
    """Remove the live display, if there is one. Code that ends the process with `os._exit` must call it first."""
    while _open_displays:
        _open_displays.pop().remove()


class _BottomLines:
    """The last lines of a terminal, excluded from scrolling. Everything that is printed appears above them.

    Terminals have had such scrolling regions since the VT100 (DECSTBM). Nothing is drawn on a very small terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.terminal_size((0, 0))
        self._first = 0

    @property
    def count(self) -> int:
        """The number of lines; 0: the terminal is too small."""
        height = os.get_terminal_size(self._descriptor).lines
        return min(MAX_LINES, height // 3) if height >= MIN_TERMINAL_LINES else 0

    def draw(self, lines: list[str]) -> None:
        count, size = self.count, os.get_terminal_size(self._descriptor)
        if not count:
            return
        set_region = ""
        if size != self._size:
            self._size, self._first = size, size.lines - count + 1
            # Setting the region moves the cursor to the top, so save it. If the cursor is on the last lines, line
            # breaks scroll the text above them first.
            set_region = "\n" * count + f"\x1b7\x1b[1;{self._first - 1}r\x1b8\x1b[{count}A"
        text = "\r\n".join(f"\x1b[2K{line}" for line in [*lines, *[""] * count][:count])
        self._write(f"{set_region}\x1b7\x1b[{self._first};1H{text}\x1b8")

    def remove(self) -> None:
        if self._first:
            self._write(f"\x1b7\x1b[r\x1b[{self._first};1H\x1b[J\x1b8")

    def _write(self, text: str) -> None:
        # One write, so that the output of other programs does not land inside it.
        with suppress(OSError):
            os.write(self._descriptor, text.encode())


_open_displays: list[_BottomLines] = []


@contextmanager
def _repeat(seconds: float, function: Callable[[], None]) -> Iterator[None]:
    """Call a function regularly in a separate thread, until the context closes or the function raises OSError."""
    closed = threading.Event()

    def run() -> None:
        with suppress(OSError):  # the output is gone; the sync itself detects that
            while not closed.wait(seconds):
                function()

    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.join(1.0)


def _render(stats: SyncStats, lines: int) -> "RenderableType":
    """Return the totals and a table of the streams that are being read, in at most `lines` lines."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(width=20)
    streams = stats.active_streams()
    rows = lines - 2
    if len(streams) > rows:
        rows -= 1
    for name, stream in streams[:rows]:
        bar = ProgressBar(total=stream.total, completed=stream.records) if stream.total else ""
        table.add_row(name, stream.progress, f"{stream.records_per_second:,.0f}/s", bar)
    if len(streams) > rows:
        table.add_row(f"and {len(streams) - rows} more")
    remaining = stats.rate_limit_remaining()
    rate_limit = "" if remaining is None else f"; {remaining:,} left of the rate limit"
    return Group(Text(stats.records_summary(), style="bold"), Text(stats.requests_summary() + rate_limit), table)
