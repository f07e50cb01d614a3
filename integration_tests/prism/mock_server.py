"""Prism serves the vendor's document as a mock API; a proxy in front of it records the responses."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from tools.openapi import Document

HOST = "127.0.0.1"
# Later versions of Prism need a newer Node than Debian 12 and 13 have.
PACKAGE = Path(__file__).with_name("package.json")
LOCK = Path(__file__).with_name("package-lock.json")
# The examples of these paths contain `{}` in place of nested values, which their own schema rejects.
INVALID_EXAMPLES = ("/v2/escalation_paths", "/v2/escalation_path_templates")
INSTALL_SECONDS = 240
START_SECONDS = 120


class NotInstalledError(Exception):
    """npm is missing or could not install Prism."""


def install(cache: Path) -> Path:
    """Install the locked version of Prism with npm. Returns the path of the executable.

    Args:
        cache: directory to install into; an existing installation is used again.

    Raises:
        NotInstalledError: npm is missing or failed.
    """
    home = cache / f"prism-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    stamp = home / "complete"
    if not stamp.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalledError("npm is missing. Install it (Debian: apt-get install npm)")
        home.mkdir(parents=True, exist_ok=True)
        for file in (PACKAGE, LOCK):
            shutil.copy(file, home)
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=home,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            raise NotInstalledError(f"npm could not install Prism: {done.stderr.strip()[-400:]}")
        stamp.touch()
    return home / "node_modules" / ".bin" / "prism"


def servable(document: Document) -> Mapping[str, Any]:
    """The document, with valid examples in place of those that Prism rejects."""
    content = dict(document.content)
    content["paths"] = dict(content["paths"])
    for path in INVALID_EXAMPLES:
        operation: dict[str, Any] = json.loads(json.dumps(content["paths"][path]))
        response = operation["get"]["responses"]["200"]["content"]["application/json"]
        response["example"] = _without_empty_objects(response["example"])
        content["paths"][path] = operation
    return content


def _without_empty_objects(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty_objects(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_empty_objects(item) for item in value if item != {}]
    return value


@contextmanager
def prism(program: Path, document: Path, log: Path) -> Iterator[str]:
    """Run Prism for the duration of the block. Yields its URL.

    Prism answers with an error if the document does not allow a request or a response (`--errors`).

    Args:
        program: Prism's executable.
        document: the OpenAPI document.
        log: file for Prism's output.
    """
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [str(program), "mock", "--errors", "--host", HOST, "--port", str(port), str(document)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while b"Prism is listening" not in log.read_bytes():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Prism did not start: {log.read_text()[-1000:]}")
                time.sleep(0.2)
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()


class Proxy:
    """Forwards every request to Prism and records the response.

    Attributes:
        url: the proxy's URL.
        responses: (path with query, status) of each response, in order.
    """

    def __init__(self, prism_url: str, *, one_page: bool) -> None:
        """With `one_page`, `after` is removed from responses: the examples always name the same next page."""
        self.responses: list[tuple[str, int]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Connection")}
                response = requests.get(prism_url + self.path, headers=headers, timeout=60)
                proxy.responses.append((self.path, response.status_code))
                content = _without_next_page(response.content) if one_page else response.content
                self.send_response(response.status_code)
                self.send_header("Content-Type", response.headers["Content-Type"])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _without_next_page(content: bytes) -> bytes:
    body = json.loads(content)
    if isinstance(body.get("pagination_meta"), dict):
        body["pagination_meta"].pop("after", None)
    return json.dumps(body).encode()
