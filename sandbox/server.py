"""Serving a sandbox, in this process or in one of its own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import fields
from types import TracebackType
from typing import Any

import orjson
import requests
import uvicorn

from .application import Application
from .options import Options
from .protocol import Protocol

_START = 20.0
# How often the connections are broken while new ones are refused.
BREAKS = 20


def bound(host: str, port: int) -> socket.socket:
    """A socket that holds a port; 0 picks a free one. Until it listens, connections are refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one."""
    sock = bound(host, port)
    sock.listen(1024)
    return sock


class Server(uvicorn.Server):
    """uvicorn's server, which calls `on_started` when it answers."""

    on_started: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            self.on_started()

    async def refuse(self, seconds: float) -> None:
        """Stop listening, break all connections, and listen again after `seconds`."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        for server in self.servers:
            server.close()
        # Held meanwhile, so that no other sandbox gets the port.
        held = bound(host, port)
        self._listening_again = asyncio.create_task(self._listen_again(held, seconds))

    async def _listen_again(self, held: socket.socket, seconds: float) -> None:
        for _ in range(BREAKS):
            # Again and again: a connection that was just being accepted is in the list a little later.
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(seconds / BREAKS)
        held.listen(1024)
        self.servers = [
            await asyncio.get_running_loop().create_server(
                lambda: Protocol(
                    config=self.config,
                    server_state=self.server_state,
                    app_state=self.lifespan.state,
                ),
                sock=held,
            )
        ]


def make_server(application: Application) -> Server:
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    application.faults.refuse = server.refuse
    return server


class Sandbox:
    """A running sandbox, for as long as the `with` block lasts.

    The keyword arguments are the fields of `Options`. `process=True` serves from a process of its
    own, so that the caller's processor time and memory stay the caller's.
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
        self.application: Application | None = None

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
        """The process that serves, where it has one of its own."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Return when it answers. RuntimeError when it does not start."""
        if self._in_process:
            self._start_thread()
        else:
            self._start_process()

    def _start_thread(self) -> None:
        self.application = Application(self.options)
        server = self._server = make_server(self.application)
        sock = listen(self._host, self._port)
        self.url = f"http://{self._host}:{sock.getsockname()[1]}"
        ready = threading.Event()

        server.on_started = ready.set

        def run() -> None:
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(server.serve(sockets=[sock]))

        self._thread = threading.Thread(target=run, name="sandbox", daemon=True)
        self._thread.start()
        if not ready.wait(_START) or not server.started:
            raise RuntimeError("the sandbox did not start")

    def _start_process(self) -> None:
        command = [sys.executable, "-m", "sandbox", "--with-parent"]
        command += ["--host", self._host, "--port", str(self._port), *arguments(self.options)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("listening on "):
            self._process.wait(_START)
            raise RuntimeError(f"the sandbox did not start: {line!r}")
        self.url = line.removeprefix("listening on ").strip()

    def stop(self) -> None:
        self._session.close()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_START)
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_START)
            if self._process.stdout is not None:
                self._process.stdout.close()

    # the admin face

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
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
        """{"total", "counts": {"GET path": n}, "log": [{path, query, status, t}]}."""
        return self._ask("GET", "requests" if log else "requests?log=0")

    def reset(self) -> None:
        self._ask("POST", "reset")

    def records(self, name: str) -> Any:
        """All records of a list."""
        return self._ask("GET", f"records/{name}")["records"]

    def snapshot(self, name: str) -> Any:
        """{"list", "count", "records", "parents"?}; `parents` has the ids for each record."""
        return self._ask("GET", f"records/{name}")

    def put(self, name: str, records: Iterable[dict[str, Any]], parents: dict[str, str] | None = None) -> None:
        """Add records, or replace those with the same id."""
        body = {"list": name, "records": list(records), "parents": parents}
        self._ask("POST", "put", body)

    def delete(self, name: str, ids: Iterable[str], parents: dict[str, str] | None = None) -> int:
        """Delete records; how many there were."""
        body = {"list": name, "ids": list(ids), "parents": parents}
        return int(self._ask("POST", "delete", body)["deleted"])

    def config(self, **options: Any) -> Any:
        """Change options while it serves; what they are now."""
        return self._ask("POST", "config", options)

    def faults(self) -> Any:
        """How often each fault struck."""
        return self._ask("GET", "faults")


def arguments(options: Options) -> list[str]:
    """The command line that gives these options."""
    made: list[str] = []
    for field in fields(options):
        value = getattr(options, field.name)
        flag = "--" + field.name.replace("_", "-")
        if isinstance(value, bool):
            made.append(flag if value else "--no-" + flag[2:])
        elif isinstance(value, list):
            for item in value:
                made += [flag, item]
        elif value is not None:
            made += [flag, str(value)]
    return made
