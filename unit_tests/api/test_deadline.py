"""The request timeout: one deadline for the headers and the body of an answer."""

import socket
import threading
import time

import pytest

from source_incident.api import Cancelled, TransientError
from source_incident.cancellation import CancellationToken
from unit_tests.api.clients import HEAD, Make, get_error, stall, trickle
from unit_tests.api.server import ScriptedServer, answer


@pytest.mark.parametrize("sent", [b"", HEAD[:20], HEAD, HEAD + b'{"a":'])
def test_the_request_timeout_bounds_a_stall(make: Make, sent: bytes) -> None:
    with ScriptedServer() as server:
        server.add(*[stall(server, sent)] * 2, answer({"ok": 1}))
        client = make(server, request_timeout=0.3)
        started_at = time.monotonic()
        assert client.get("/v2/things").body == {"ok": 1}
    assert 0.5 < time.monotonic() - started_at < 2


def test_the_request_timeout_bounds_a_slow_body(make: Make) -> None:
    def slow(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        trickle(server, b" ")(connection)

    with ScriptedServer() as server:
        server.add(slow)
        started_at = time.monotonic()
        error = get_error(make(server, request_timeout=0.3, max_retries=0), TransientError)
    assert time.monotonic() - started_at < 1
    assert "0.3 s" in error.message
    assert error.message.endswith("gave up after 1 try. Run the sync again later")


@pytest.mark.parametrize(
    "sent", [HEAD[:-2] + b"X-Padding: " + b"x" * 1000, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 " + b"O" * 1000]
)
def test_the_request_timeout_bounds_slow_headers(make: Make, sent: bytes) -> None:
    with ScriptedServer() as server:
        server.add(trickle(server, sent), answer({"ok": 1}))
        client = make(server, request_timeout=0.3)
        started_at = time.monotonic()
        assert client.get("/v2/things").body == {"ok": 1}
    assert time.monotonic() - started_at < 1
    assert client.retries == 1


def test_headers_and_body_share_the_request_timeout(make: Make) -> None:
    whole = answer({"things": 1})
    with ScriptedServer() as server:
        server.add(trickle(server, whole, pause=0.6 / len(whole)))
        error = get_error(make(server, request_timeout=0.4, max_retries=0), TransientError)
        assert "the body was not complete within 0.4 s" in error.message or "no answer within 0.4 s" in error.message
        server.add(trickle(server, whole, pause=0.2 / len(whole)))
        assert make(server, request_timeout=2).get("/v2/things").body == {"things": 1}


def test_the_request_timeout_bounds_the_answer_of_a_proxy(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as proxy:
        proxy.add(trickle(proxy, b"HTTP/1.1 200 " + b"O" * 1000))
        monkeypatch.setenv("https_proxy", proxy.url)
        started_at = time.monotonic()
        get_error(make("https://api.example", request_timeout=0.3, max_retries=0), TransientError)
    assert time.monotonic() - started_at < 1
    assert proxy.lines()[0].startswith("CONNECT api.example:443 ")


def test_each_answer_on_a_kept_connection_has_the_full_timeout(make: Make) -> None:
    whole = answer({"ok": 1}).replace(b"Connection: close", b"Connection: keep-alive")

    def twice(connection: socket.socket) -> None:
        for _ in range(2):
            server.wait(0.3)
            connection.sendall(whole)
            connection.recv(65536)

    with ScriptedServer(twice) as server:
        client = make(server, request_timeout=0.5, max_retries=0)
        assert [client.get("/v2/things").body for _ in range(2)] == [{"ok": 1}] * 2
    assert len(server.requests) == 1


def test_cancellation_ends_a_slow_body_at_its_next_bytes(make: Make) -> None:
    def slow(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        trickle(server, b" ")(connection)

    token = CancellationToken()
    with ScriptedServer() as server:
        server.add(slow)
        client = make(server, request_timeout=30, cancellation=token)
        threading.Timer(0.2, token.cancel).start()
        started_at = time.monotonic()
        with pytest.raises(Cancelled):
            client.get("/v2/things")
    assert time.monotonic() - started_at < 2
