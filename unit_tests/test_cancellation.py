"""The cancellation token: parents and children, callbacks, waits."""

import threading
import time

from source_incident.cancellation import CancellationToken


def test_a_cancelled_token_cancels_its_children() -> None:
    token = CancellationToken()
    child = token.child()
    grandchild = child.child()
    token.cancel()
    assert token.is_cancelled
    assert child.is_cancelled
    assert grandchild.is_cancelled
    assert token.child().is_cancelled


def test_a_cancelled_child_leaves_its_parent_and_siblings_alone() -> None:
    token = CancellationToken()
    child, sibling = token.child(), token.child()
    child.cancel()
    assert child.is_cancelled
    assert not token.is_cancelled
    assert not sibling.is_cancelled


def test_calls_callbacks_once() -> None:
    token = CancellationToken()
    called: list[str] = []
    token.on_cancel(lambda: called.append("before"))
    assert called == []
    token.cancel()
    token.cancel()
    assert called == ["before"]


def test_calls_a_callback_at_once_when_it_is_cancelled_already() -> None:
    token = CancellationToken()
    token.cancel()
    called: list[str] = []
    token.on_cancel(lambda: called.append("after"))
    assert called == ["after"]


def test_does_not_call_a_removed_callback() -> None:
    token = CancellationToken()
    called: list[str] = []
    remove = token.on_cancel(lambda: called.append("removed"))
    remove()
    remove()
    token.cancel()
    assert called == []


def test_a_callback_can_remove_itself_and_add_others() -> None:
    token = CancellationToken()
    called: list[str] = []

    def callback() -> None:
        remove()
        token.on_cancel(lambda: called.append("added"))

    remove = token.on_cancel(callback)
    token.on_cancel(lambda: called.append("other"))
    token.cancel()
    assert sorted(called) == ["added", "other"]


def test_cancellation_ends_a_wait() -> None:
    token = CancellationToken()
    assert token.wait(0) is False
    threading.Timer(0.1, token.cancel).start()
    started_at = time.monotonic()
    assert token.child().wait(30) is True
    assert time.monotonic() - started_at < 5
