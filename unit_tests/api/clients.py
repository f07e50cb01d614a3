"""Helpers for tests of the client: a key, an error body, waits that take no time."""

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from source_incident.api import ApiError, Client
from source_incident.cancellation import CancellationToken
from unit_tests.api.server import ScriptedServer

KEY = "inc_5ecret_key_0123456789abcdef"
ERROR = {
    "type": "some_error",
    "status": 500,
    "request_id": "req-42",
    "errors": [{"code": "some_code", "message": "It went wrong"}],
}
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"

Make = Callable[..., Client]


class NoWaitToken(CancellationToken):
    """A token whose waits return at once. It records their lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.is_cancelled


def waits(client: Client) -> list[float]:
    """The waits of a client that has a NoWaitToken, in seconds."""
    token = client.cancellation
    assert isinstance(token, NoWaitToken)
    return token.waits


def get_error(client: Client, kind: type[ApiError], path: str = "/v2/things", params: Any = None) -> ApiError:
    """The error of a request. Checks its class, that it is one line, and that it does not hold the key."""
    with pytest.raises(kind) as caught:
        client.get(path, params)
    return check_error(caught.value, kind)


def check_error(error: ApiError, kind: type[ApiError]) -> ApiError:
    """Check an error's class, that it is one line, and that it does not hold the key."""
    assert type(error) is kind
    assert "\n" not in str(error)
    assert KEY not in repr(error)
    assert KEY not in repr(vars(error))
    assert error.__cause__ is None
    return error


# Scripts for `ScriptedServer`: what a connection gets instead of a whole answer.


def reset(connection: socket.socket) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_after(sent: bytes) -> Callable[[socket.socket], None]:
    """Send some bytes, then reset the connection."""

    def script(connection: socket.socket) -> None:
        connection.sendall(sent)
        time.sleep(0.05)
        reset(connection)

    return script


def trickle(server: ScriptedServer, sent: bytes, pause: float = 0.05) -> Callable[[socket.socket], None]:
    """Send 200 single bytes with pauses between them, starting again at the first byte after the last one."""

    def script(connection: socket.socket) -> None:
        for position in range(200):
            connection.sendall(sent[position % len(sent) :][:1])
            server.wait(pause)

    return script


def stall(server: ScriptedServer, sent: bytes = b"") -> Callable[[socket.socket], None]:
    """Send some bytes, then nothing for ten seconds."""

    def script(connection: socket.socket) -> None:
        connection.sendall(sent)
        server.wait(10)

    return script
