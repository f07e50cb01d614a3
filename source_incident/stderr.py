"""Writing to stderr. A closed stderr never ends the run: lines that can't be written are lost."""

import os
import sys
from contextlib import suppress

from source_incident.text import escape


def open_if_closed() -> None:
    """Point stderr at the null device if the process started without one.

    Otherwise the next file that is opened would get its descriptor.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # open until the process ends


def write_line(text: str) -> None:
    """Write one line to stderr. Control characters and line breaks are escaped."""
    write_lines(escape(text))


def write_lines(text: str) -> None:
    """Write text to stderr that is already escaped, except for its line breaks."""
    with suppress(OSError, UnicodeError):
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
