"""The HTTP server: uvicorn, extended so that faults can reach the connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.application import Application

# How often open connections are aborted while new ones are refused.
_ABORT_ROUNDS = 20


def _bind(host: str, port: int) -> socket.socket:
    """A socket that holds a port; 0 picks a free one. Connections are refused until it listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free port."""
    sock = _bind(host, port)
    sock.listen(1024)
    return sock


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol. Adds the connection to the ASGI scope, for faults below HTTP."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["sandbox.transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class Server(uvicorn.Server):
    """uvicorn's server. Calls `on_started` when it accepts requests."""

    on_started: Callable[[], object] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            self.on_started()

    async def refuse_connections(self, seconds: float) -> None:
        """Stop listening, abort all connections, and listen again after `seconds`."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        for server in self.servers:
            server.close()
        # Hold the port, so that no other sandbox takes it.
        held = _bind(host, port)
        self._listening_again = asyncio.create_task(self._listen_again(held, seconds))

    async def _listen_again(self, held: socket.socket, seconds: float) -> None:
        for _ in range(_ABORT_ROUNDS):
            # Repeated, because a connection that was being accepted appears in the list later.
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(seconds / _ABORT_ROUNDS)
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
    application.faults.refuse_connections = server.refuse_connections
    return server
