"""How far a sync is: counted from its events, shown while it runs, summed up at its end."""

import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_incident import stderr
from source_incident.api import Client
from source_incident.sync import Event, Expected, Failed, Finished, LeftOut, Records

if TYPE_CHECKING:
    from rich.console import RenderableType

# Between two lines of a stream in the log.
LOG_SECONDS = 30.0
FRAMES_A_SECOND = 4
# Lines of the live display, and of a terminal that is too small for one.
MOST_LINES = 12
SMALLEST_TERMINAL = 9

FINISHED, FAILED, LEFT_OUT = "finished", "failed", "left out"


@dataclass
class StreamStats:
    """What one stream came to so far.

    Attributes:
        began: when it was first heard of, by the monotonic clock.
        records: how many were emitted.
        total: how many the API says there are to read; None: it does not say.
        outcome: finished, failed or left out; None: it is being read.
    """

    began: float
    records: int = 0
    total: int | None = None
    outcome: str | None = None

    @property
    def count(self) -> str:
        """The records in words, with their total where it is known."""
        return f"{self.records:,}" if self.total is None else f"{self.records:,} of {self.total:,}"

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / max(time.monotonic() - self.began, 0.1)


class SyncStats:
    """What a sync came to so far: written by the thread that reads it, looked at by any.

    Args:
        client: makes the sync's requests.
        selected: how many streams are to be read.
    """

    def __init__(self, client: Client, selected: int) -> None:
        self._streams: dict[str, StreamStats] = {}
        self._client = client
        self._selected = selected
        self._began = time.monotonic()

    def take(self, event: Event) -> StreamStats:
        """Counts an event, all of its records in one step.

        Returns:
            What its stream came to, the event included.
        """
        stream = self._streams.get(event.stream)
        if stream is None:
            stream = self._streams[event.stream] = StreamStats(time.monotonic())
        match event:
            case Records():
                stream.records += len(event.records)
            case Expected():
                stream.total = (stream.total or 0) + event.records
            case Finished():
                stream.outcome = FINISHED
            case Failed():
                stream.outcome = FAILED
            case LeftOut():
                stream.outcome = LEFT_OUT
        return stream

    def under_way(self) -> list[tuple[str, StreamStats]]:
        """The streams that are being read, with their names."""
        return [(name, stream) for name, stream in list(self._streams.items()) if stream.outcome is None]

    def records(self) -> str:
        """Such as `40 of 48 streams finished, 2 left out; 12,345 records`."""
        streams = list(self._streams.values())
        outcomes = Counter(stream.outcome for stream in streams if stream.outcome)
        told = [f"{outcomes[FINISHED]} of {_several(self._selected, 'stream')} finished"]
        told += [f"{outcomes[outcome]} {outcome}" for outcome in (FAILED, LEFT_OUT) if outcomes[outcome]]
        return f"{', '.join(told)}; {_several(sum(stream.records for stream in streams), 'record')}"

    def requests(self) -> str:
        """Such as `579 requests, 3 retries, 12.3 s waited; 29.4 s in all`."""
        client = self._client
        return (
            f"{_several(client.requests, 'request')}, {_several(client.retries, 'retry', 'retries')}, "
            f"{client.waited:.1f} s waited; {time.monotonic() - self._began:.1f} s in all"
        )

    def summary(self) -> str:
        """One line: streams, records, requests, retries, seconds waited, duration."""
        return f"{self.records()}; {self.requests()}"

    def limit(self) -> str:
        """What is left of the key's rate limit, in words; empty: the API did not say yet."""
        left = self._client.pace.remaining
        return "" if left is None else f"; {left:,} left of the rate limit"


# Shows a stats for as long as the context is open.
Show = Callable[[SyncStats], AbstractContextManager[None]]


def nothing(stats: SyncStats) -> AbstractContextManager[None]:
    """Shows nothing."""
    return nullcontext()


@contextmanager
def log_lines(stats: SyncStats, logger: logging.Logger, seconds: float | None = None) -> Iterator[None]:
    """Logs a line for each stream that is under way, every so often.

    Args:
        seconds: between two lines of a stream; None: the usual.
    """

    def tell() -> None:
        for name, stream in stats.under_way():
            logger.info("%s: %s records, %.0f a second", name, stream.count, stream.rate)

    with _every(LOG_SECONDS if seconds is None else seconds, tell):
        yield


@contextmanager
def live(stats: SyncStats, *, stays: bool) -> Iterator[None]:
    """Shows the totals and the streams under way on the last lines of the terminal that stderr is.

    Args:
        stays: the totals are left there at the end.
    """
    from rich.console import Console

    console = Console(stderr=True)
    last_lines = _LastLines(sys.stderr.fileno())

    def draw() -> None:
        with console.capture() as drawn:
            console.print(_picture(stats, last_lines.count), no_wrap=True, overflow="ellipsis", crop=True)
        last_lines.draw(drawn.get().splitlines())

    _drawn.append(last_lines)
    try:
        with _every(1 / FRAMES_A_SECOND, draw):
            yield
    finally:
        give_back_terminal()
    if stays:
        stderr.say(f"{stats.records()}\n{stats.requests()}")


def give_back_terminal() -> None:
    """Ends a live display, if there is one. Whoever ends the process in another way than by an exception calls it."""
    while _drawn:
        _drawn.pop().give_back()


class _LastLines:
    """The last lines of a terminal, kept out of its scrolling: what anybody prints, other programs too, goes above.

    Terminals have such scrolling regions since the VT100 (DECSTBM). A very small one gets nothing drawn.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.terminal_size((0, 0))
        self._first = 0

    @property
    def count(self) -> int:
        """How many there are; 0: the terminal is too small."""
        height = os.get_terminal_size(self._descriptor).lines
        return min(MOST_LINES, height // 3) if height >= SMALLEST_TERMINAL else 0

    def draw(self, lines: list[str]) -> None:
        count, size = self.count, os.get_terminal_size(self._descriptor)
        if not count:
            return
        keep = ""
        if size != self._size:
            self._size, self._first = size, size.lines - count + 1
            # New lines make room where the cursor is at the bottom; setting the region would move it to the top.
            keep = "\n" * count + f"\x1b7\x1b[1;{self._first - 1}r\x1b8\x1b[{count}A"
        shown = "\r\n".join(f"\x1b[2K{line}" for line in [*lines, *[""] * count][:count])
        self._write(f"{keep}\x1b7\x1b[{self._first};1H{shown}\x1b8")

    def give_back(self) -> None:
        if self._first:
            self._write(f"\x1b7\x1b[r\x1b[{self._first};1H\x1b[J\x1b8")

    def _write(self, text: str) -> None:
        # In one piece, so that what others write does not come between.
        with suppress(OSError):
            os.write(self._descriptor, text.encode())


_drawn: list[_LastLines] = []


@contextmanager
def _every(seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Does something every so often in a thread of its own, until whoever would see it has gone."""
    over = threading.Event()

    def repeat() -> None:
        try:
            while not over.wait(seconds):
                do()
        except OSError:
            pass  # the sync itself will notice

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)


def _picture(stats: SyncStats, lines: int) -> "RenderableType":
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(width=20)
    streams = stats.under_way()
    room = lines - 2
    if len(streams) > room:
        room -= 1
    for name, stream in streams[:room]:
        bar = ProgressBar(total=stream.total, completed=stream.records) if stream.total else ""
        table.add_row(name, stream.count, f"{stream.rate:,.0f}/s", bar)
    if len(streams) > room:
        table.add_row(f"and {len(streams) - room} more")
    return Group(Text(stats.records(), style="bold"), Text(stats.requests() + stats.limit()), table)


def _several(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
