"""Prism serving the vendor's document, and a front that tells what it answered."""

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

from tools.document import Document

HOST = "127.0.0.1"
# Later versions want a newer Node than Debian 12 and 13 have
PACKAGE = Path(__file__).with_name("package.json")
LOCK = Path(__file__).with_name("package-lock.json")
# In these examples, and in no others, a path inside a path is cut short to `{}`, which their own schema refuses
CUT_EXAMPLES = ("/v2/escalation_paths", "/v2/escalation_path_templates")
INSTALL_SECONDS = 240
START_SECONDS = 120


class NotInstalledError(Exception):
    """npm is missing, or can't install Prism."""


def install(cache: Path) -> Path:
    """Prism's program, of the locked version, installed with npm into a folder of `cache`.

    Raises:
        NotInstalledError: it can't be.
    """
    home = cache / f"prism-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    stamp = home / "complete"
    if not stamp.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalledError("npm is missing (Debian: apt-get install npm)")
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
    """The document with the examples mended that Prism would refuse to give."""
    content = dict(document.content)
    content["paths"] = dict(content["paths"])
    for path in CUT_EXAMPLES:
        operation: dict[str, Any] = json.loads(json.dumps(content["paths"][path]))
        answer = operation["get"]["responses"]["200"]["content"]["application/json"]
        answer["example"] = _without_cuts(answer["example"])
        content["paths"][path] = operation
    return content


def _without_cuts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_cuts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_cuts(item) for item in value if item != {}]
    return value


@contextmanager
def prism(program: Path, document: Path, log: Path) -> Iterator[str]:
    """Serves a document for as long as the block lasts; its address.

    A request or an answer that the document does not allow is answered with an error (`--errors`).
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
                    raise RuntimeError(f"Prism does not start: {log.read_text()[-1000:]}")
                time.sleep(0.2)
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()


class Front:
    """Passes every request on to Prism, and remembers what came of it.

    Attributes:
        url: its address.
        answers: path with query, and status, in order.
    """

    def __init__(self, prism_url: str, *, one_page: bool) -> None:
        """With `one_page` no answer names a next page: the document's examples name the same one forever."""
        self.answers: list[tuple[str, int]] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Connection")}
                answer = requests.get(prism_url + self.path, headers=headers, timeout=60)
                front.answers.append((self.path, answer.status_code))
                content = _without_next_page(answer.content) if one_page else answer.content
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Front:
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
