"""How far a sync is: counted from its events, shown while it runs, summed up at its end."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_incident.api import Client
from source_incident.sync import Event, Expected, Failed, Finished, LeftOut, Records

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Between two lines of a stream in the log.
LOG_SECONDS = 30.0
FRAMES_A_SECOND = 4
# Lines of the terminal that the streams leave free.
OTHER_LINES = 4

FINISHED, FAILED, LEFT_OUT = "finished", "failed", "left out"


@dataclass
class StreamTally:
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


class Tally:
    """What a sync came to so far: written by the thread that reads it, looked at by any.

    Args:
        client: makes the sync's requests.
        selected: how many streams are to be read.
    """

    def __init__(self, client: Client, selected: int) -> None:
        self._streams: dict[str, StreamTally] = {}
        self._client = client
        self._selected = selected
        self._began = time.monotonic()

    def take(self, event: Event) -> StreamTally:
        """Counts an event, all of its records in one step.

        Returns:
            What its stream came to, the event included.
        """
        stream = self._streams.get(event.stream)
        if stream is None:
            stream = self._streams[event.stream] = StreamTally(time.monotonic())
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

    def under_way(self) -> list[tuple[str, StreamTally]]:
        """The streams that are being read, with their names."""
        return [(name, stream) for name, stream in list(self._streams.items()) if stream.outcome is None]

    def summary(self) -> str:
        """One line: streams, records, requests, retries, seconds waited, duration."""
        streams = list(self._streams.values())
        outcomes = Counter(stream.outcome for stream in streams if stream.outcome)
        told = [f"{outcomes[FINISHED]} of {_several(self._selected, 'stream')} finished"]
        told += [f"{outcomes[outcome]} {outcome}" for outcome in (FAILED, LEFT_OUT) if outcomes[outcome]]
        client = self._client
        return (
            f"{', '.join(told)}; {_several(sum(stream.records for stream in streams), 'record')}; "
            f"{_several(client.requests, 'request')}, {_several(client.retries, 'retry', 'retries')}, "
            f"{client.waited:.1f} s waited; {time.monotonic() - self._began:.1f} s in all"
        )

    def limit(self) -> str:
        """What is left of the key's rate limit, in words; empty: the API did not say yet."""
        left = self._client.pace.remaining
        return "" if left is None else f"{_several(left, 'request')} left of the rate limit"


# Shows a tally for as long as the context is open.
Show = Callable[[Tally], AbstractContextManager[None]]


def nothing(tally: Tally) -> AbstractContextManager[None]:
    """Shows nothing."""
    return nullcontext()


@contextmanager
def log_lines(tally: Tally, logger: logging.Logger, seconds: float | None = None) -> Iterator[None]:
    """Logs a line for each stream that is under way, every so often.

    Args:
        seconds: between two lines of a stream; None: the usual.
    """
    over = threading.Event()
    interval = LOG_SECONDS if seconds is None else seconds

    def tell() -> None:
        try:
            while not over.wait(interval):
                for name, stream in tally.under_way():
                    logger.info("%s: %s records, %.0f a second", name, stream.count, stream.rate)
        except OSError:
            pass  # whoever read the log has gone; the sync itself will notice

    thread = threading.Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)


@contextmanager
def live(tally: Tally, *, stays: bool) -> Iterator[None]:
    """Shows the streams under way and the totals on a terminal, stderr. What is printed meanwhile appears above it.

    Args:
        stays: the last picture is left there.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, soft_wrap=True)
    display = Live(
        console=console,
        get_renderable=lambda: _picture(tally, console),
        refresh_per_second=FRAMES_A_SECOND,
        transient=not stays,
    )
    with display:
        # A program that is killed can't show it again.
        console.show_cursor(True)
        yield


def _picture(tally: Tally, console: "Console") -> "RenderableType":
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(width=20)
    streams = tally.under_way()
    room = max(console.height - OTHER_LINES, 1)
    for name, stream in streams[:room]:
        bar = ProgressBar(total=stream.total, completed=stream.records) if stream.total else ""
        table.add_row(name, stream.count, f"{stream.rate:,.0f}/s", bar)
    if len(streams) > room:
        table.add_row(f"and {len(streams) - room} more")
    totals = "\n".join(line for line in (tally.summary(), tally.limit()) if line)
    return Group(table, Text(totals, style="dim"))


def _several(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
