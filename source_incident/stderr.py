"""stderr, whose end never is the run's: a line that can't be written there, on a full disk for one, is lost."""

import os
import sys
from contextlib import suppress


def open_if_closed() -> None:
    """Gives a process without a stderr one that leads nowhere, so that no other file takes its place."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # open until the process ends


def say(text: str) -> None:
    """Writes lines to stderr."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def written() -> bool:
    """Whether all was written: Python takes what is left over at its end for a failure, and exits with 120."""
    try:
        sys.stderr.flush()
    except OSError:
        return False
    return True
