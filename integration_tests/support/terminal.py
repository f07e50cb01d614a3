"""A program at a terminal of its own."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from pathlib import Path

from integration_tests.support.tap import SECONDS, clean_environment

# Gives a program a terminal of its own, and passes on what is typed and shown. Where the tests run in the background,
# SIGINT is ignored, and would be in the program.
SPAWN = (
    "import os, pty, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
)


class Terminal:
    """A program at a terminal: what it shows, and what is typed."""

    def __init__(self, *command: str, directory: Path, **environment: str) -> None:
        self.shown = ""
        self._seen = 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", SPAWN, *command],
            cwd=directory,
            env={**clean_environment(), "TERM": "xterm", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)

    def until(self, text: str) -> None:
        """Waits until it has shown a text, after the one that was waited for last."""
        deadline = time.monotonic() + SECONDS
        while (found := self.shown.find(text, self._seen)) < 0:
            assert self._read(deadline), f"it ended without {text!r}: {self.shown}"
        self._seen = found + len(text)

    def type(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def end(self) -> int:
        """Waits until it has ended; its exit code."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        with self._process:
            return self._process.wait(SECONDS)

    def _read(self, deadline: float) -> bool:
        """Takes in more of what it shows; whether there was any."""
        assert self._selector.select(deadline - time.monotonic()), f"it shows nothing more: {self.shown}"
        read = os.read(self._out.fileno(), 65536)
        self.shown += read.decode()
        return bool(read)

    def kill(self) -> None:
        """Ends it where it has not ended by itself."""
        self._process.kill()
        self._process.wait()
