"""Time spent waiting, across threads."""

import threading
import time


class Stopwatch:
    """Counts the seconds in which at least one thread is inside the context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._entered_at = 0.0
        self._counted = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._entered_at = time.monotonic()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._counted += time.monotonic() - self._entered_at

    @property
    def seconds(self) -> float:
        with self._lock:
            return self._counted + (time.monotonic() - self._entered_at if self._inside else 0.0)
