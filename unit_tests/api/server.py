"""A server on 127.0.0.1 that sends scripted answers, broken ones too."""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

# Error bodies of the API. A gateway's answer has none of them.
NOT_FOUND = {
    "type": "not_found",
    "status": 404,
    "request_id": "req-404",
    "errors": [{"code": "resource_not_found", "message": "Could not find it"}],
}
FORBIDDEN = {
    "type": "authentication_error",
    "status": 403,
    "request_id": "req-403",
    "errors": [{"code": "missing_required_scope", "message": "no", "metadata": {"scope": "some.scope"}}],
}

Answer = bytes | Callable[[socket.socket], None]


def answer(
    body: Any = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> bytes:
    """A complete answer: `body` as JSON, or `content` unchanged. An empty header value removes the header."""
    content = json.dumps({} if body is None else body).encode() if content is None else content
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value != "")
    return f"HTTP/1.1 {status} Status\r\n{head}Connection: close\r\n\r\n".encode("latin-1") + content


class ScriptedServer:
    """Sends the scripted answers in order, then the result of `default` for a path with its query, or `{}`.

    An answer is the bytes to send, or a function that gets the connection.

    Attributes:
        requests: the head of each request, as text.
    """

    def __init__(self, *answers: Answer, default: Callable[[str], bytes] | None = None) -> None:
        self._default = default or (lambda path: answer())
        self.requests: list[str] = []
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._socket.settimeout(0.05)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "ScriptedServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join(5)
        self._socket.close()

    def wait(self, seconds: float) -> None:
        """Wait in an answer, at most until the test ends."""
        self._closing.wait(seconds)

    def add(self, *answers: Answer) -> None:
        self._answers += answers

    def lines(self) -> list[str]:
        """The request lines."""
        return [request.split("\r\n", 1)[0] for request in self.requests]

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                continue
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5)
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return
                    head += chunk
                with self._lock:
                    self.requests.append(head.decode("latin-1"))
                    scripted = self._answers.pop(0) if self._answers else self._default(self.lines()[-1].split()[1])
                if callable(scripted):
                    scripted(connection)
                else:
                    connection.sendall(scripted)
            except OSError:
                return
