"""Writing to stderr. A closed stderr never ends the run: lines that can't be written are lost."""

import os
import sys
from contextlib import suppress


def open_if_closed() -> None:
    """Point stderr at the null device if the process started without one.

    Otherwise the next file that is opened would get its descriptor.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # open until the process ends


def write_line(text: str) -> None:
    """Write a line, or several, to stderr."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def flush() -> bool:
    """Flush stderr.

    Returns:
        Whether that worked. If it did not, Python's own flush at exit would fail too and set the exit code to 120.
    """
    try:
        sys.stderr.flush()
    except OSError:
        return False
    return True
