"""`Sandbox` starts the mock API in a thread or a process, and controls it through its admin endpoints."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import orjson
import requests

from sandbox.application import Application
from sandbox.options import Options
from sandbox.server import Server, listen, make_server

_START_SECONDS = 20.0


class Sandbox:
    """A sandbox that runs for the duration of a `with` block.

    Args:
        process: serve from a separate process, so that the caller's processor time and memory
            are not affected. The default is a thread.
        host: address to listen on.
        port: port to listen on; 0 picks a free port.
        options: fields of `Options`.
    """

    def __init__(self, *, process: bool = False, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        self.options = Options(**options)
        self.key = self.options.key
        self.url = ""
        self._host = host
        self._port = port
        self._in_process = not process
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Id of the serving process; None when a thread serves."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start serving, and return when requests are accepted.

        Raises:
            RuntimeError: the sandbox does not start.
        """
        if self._in_process:
            self._start_thread()
        else:
            self._start_process()

    def _start_thread(self) -> None:
        server = self._server = make_server(Application(self.options))
        sock = listen(self._host, self._port)
        self.url = f"http://{self._host}:{sock.getsockname()[1]}"
        ready = threading.Event()
        server.on_started = ready.set

        def run() -> None:
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(server.serve(sockets=[sock]))

        self._thread = threading.Thread(target=run, name="sandbox", daemon=True)
        self._thread.start()
        if not ready.wait(_START_SECONDS) or not server.started:
            raise RuntimeError("the sandbox did not start")

    def _start_process(self) -> None:
        command = [sys.executable, "-m", "sandbox", "--with-parent"]
        command += ["--host", self._host, "--port", str(self._port), *self.options.to_arguments()]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("listening on "):
            self._process.wait(_START_SECONDS)
            raise RuntimeError(f"the sandbox did not start: {line!r}")
        self.url = line.removeprefix("listening on ").strip()

    def stop(self) -> None:
        self._session.close()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_START_SECONDS)
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_START_SECONDS)
            if self._process.stdout is not None:
                self._process.stdout.close()

    # Admin endpoints

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        response = self._session.request(
            method,
            f"{self.url}/_sandbox/{path}",
            data=None if body is None else orjson.dumps(body),
            timeout=120,
        )
        if response.status_code >= 400:
            raise ValueError(f"{response.status_code}: {response.text[:500]}")
        return orjson.loads(response.content)

    def requests(self, *, log: bool = True) -> Any:
        """Requests received: {"total", "counts": {"GET path": n}, "log": [{path, query, status, t}]}."""
        return self._call("GET", "requests" if log else "requests?log=0")

    def reset(self) -> None:
        """Clear the request log, refill the token buckets and restart the faults."""
        self._call("POST", "reset")

    def records(self, name: str) -> Any:
        """All records of a list."""
        return self._call("GET", f"records/{name}")["records"]

    def snapshot(self, name: str) -> Any:
        """{"list", "count", "records", "parents"?}; `parents` has the parent ids of each record."""
        return self._call("GET", f"records/{name}")

    def put(self, name: str, records: Iterable[dict[str, Any]], parents: dict[str, str] | None = None) -> None:
        """Add records, or replace those with the same id."""
        self._call("POST", "put", {"list": name, "records": list(records), "parents": parents})

    def delete(self, name: str, ids: Iterable[str], parents: dict[str, str] | None = None) -> int:
        """Delete records. Returns how many existed."""
        body = {"list": name, "ids": list(ids), "parents": parents}
        return int(self._call("POST", "delete", body)["deleted"])

    def config(self, **options: Any) -> Any:
        """Change options while serving. Returns the current values of all options that can change."""
        return self._call("POST", "config", options)

    def faults(self) -> Any:
        """The faults, each with how often it was applied."""
        return self._call("GET", "faults")
