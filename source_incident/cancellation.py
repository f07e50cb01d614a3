"""Cancellation of a run: one token that every layer can check, wait on, or subscribe to."""

import threading
from collections.abc import Callable


class CancellationToken:
    """A flag that is set once and never cleared. Safe for threads and signal handlers.

    Cancelling a token cancels its children; cancelling a child leaves its parent alone. A run has one token; a sync
    makes a child of it for its requests, so that it can end its own requests without ending the run.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        # Appended to and copied without a lock: a signal handler can interrupt the thread that would hold it.
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        return self._event.is_set()

    def cancel(self) -> None:
        """Cancel the token and its children, and call the callbacks. Calling it again does nothing."""
        if self._event.is_set():
            return
        self._event.set()
        for callback in list(self._callbacks):
            callback()

    def child(self) -> "CancellationToken":
        """Return a token that is cancelled when this one is."""
        child = CancellationToken()
        self.on_cancel(child.cancel)
        return child

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the token is cancelled, at once if it is cancelled already.

        Args:
            callback: can be called from a signal handler and from any thread, and more than once.

        Returns:
            A function that removes the callback.
        """
        self._callbacks.append(callback)
        if self.is_cancelled:
            callback()

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def wait(self, seconds: float) -> bool:
        """Wait until the token is cancelled, at most `seconds`.

        Returns:
            Whether it is cancelled.
        """
        return self._event.wait(seconds)
