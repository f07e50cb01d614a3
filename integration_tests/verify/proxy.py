"""A proxy between the program and a sandbox. It changes requests and answers, so that an assumption does not hold."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

Query = dict[str, list[str]]


@dataclass
class Request:
    """A request, before it is passed on."""

    path: str
    query: Query


@dataclass
class Answer:
    """An answer, before it is passed back, with the request as the program sent it. A body is JSON, or else bytes."""

    path: str
    query: Query
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def records(self) -> list[dict[str, Any]]:
        """The list in the body; empty: there is none."""
        found: list[dict[str, Any]] = next((value for value in self.body.values() if isinstance(value, list)), [])
        return found


def _parse(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content


class Proxy:
    """Serves for the duration of a `with` block.

    Args:
        url: the sandbox.
        change_request: changes a request.
        change_answer: changes an answer.
    """

    def __init__(
        self,
        url: str,
        change_request: Callable[[Request], object] | None = None,
        change_answer: Callable[[Answer], object] | None = None,
    ) -> None:
        target = urlsplit(url).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                request = Request(parts.path, parse_qs(parts.query))
                if change_request:
                    change_request(request)
                connection = http.client.HTTPConnection(target, timeout=60)
                headers = {"Authorization": self.headers["Authorization"]}
                connection.request("GET", f"{request.path}?{urlencode(request.query, doseq=True)}", headers=headers)
                response = connection.getresponse()
                content = response.read()
                answer = Answer(
                    parts.path,
                    parse_qs(parts.query),
                    response.status,
                    {name.lower(): value for name, value in response.getheaders() if name.lower() != "content-length"},
                    _parse(content),
                )
                connection.close()
                if change_answer:
                    change_answer(answer)
                content = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
                self.send_response_only(answer.status)
                for name, value in {**answer.headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
