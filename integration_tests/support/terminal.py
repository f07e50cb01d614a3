"""Run a program at a pseudo-terminal."""

from __future__ import annotations

import codecs
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path

from integration_tests.support.tap import SECONDS, clean_environment

# Runs a program at a new pseudo-terminal and forwards its input and output. SIGINT gets its default handler because
# processes started in the background inherit an ignored SIGINT.
SPAWN = (
    "import os, pty, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
)


class Terminal:
    """A program at a pseudo-terminal. `shown` is everything that it printed."""

    def __init__(self, *command: str, directory: Path, **environment: str) -> None:
        self.shown = ""
        self._seen = 0
        # A read can end in the middle of a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
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
        """Wait until the program prints a text, after the previous text that was waited for."""
        deadline = time.monotonic() + SECONDS
        while (found := self.shown.find(text, self._seen)) < 0:
            assert self._read(deadline), f"the program ended without printing {text!r}: {self.shown}"
        self._seen = found + len(text)

    def type(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def end(self) -> int:
        """Wait until the program ends and return its exit code."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        with self._process:
            return self._process.wait(SECONDS)

    def _read(self, deadline: float) -> bool:
        """Read more output; return False at its end."""
        assert self._selector.select(deadline - time.monotonic()), f"the program prints nothing more: {self.shown}"
        read = os.read(self._out.fileno(), 65536)
        self.shown += self._decoder.decode(read)
        return bool(read)

    def kill(self) -> None:
        """Kill the program if it still runs."""
        self._process.kill()
        self._process.wait()
