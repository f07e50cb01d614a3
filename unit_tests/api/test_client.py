"""The client: what it retries and how long it waits, what it makes of answers, where the key goes."""

import email.utils
import gzip
import itertools
import logging
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from source_incident.api import (
    ApiError,
    AuthenticationError,
    Client,
    ForbiddenError,
    NotFoundError,
    RequestError,
    Stopped,
    TransientError,
    UnexpectedAnswerError,
)
from source_incident.api import client as client_module
from source_incident.api.client import PASSING, BearerAuth, _retry_after, _server_time
from source_incident.api.rate_limit import LONGEST_WAIT
from unit_tests.api.server import ScriptedServer, answer

KEY = "inc_5ecret_key_0123456789abcdef"
ERROR = {
    "type": "some_error",
    "status": 500,
    "request_id": "req-42",
    "errors": [{"code": "some_code", "message": "It went wrong"}],
}


class _NoWait(threading.Event):
    """A stop event whose waits are over at once, and written down."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


Make = Callable[..., Client]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes clients that do not wait between tries; `client.waits` has what they would have waited."""
    made: list[Client] = []

    def make_client(server: ScriptedServer | str, **settings: Any) -> Client:
        endpoint = server if isinstance(server, str) else server.url
        client = Client(**{"endpoint": endpoint, "api_key": KEY, "user_agent": "tap/1", "max_retries": 3, **settings})
        client._stop = _NoWait()
        made.append(client)
        return client

    yield make_client
    for client in made:
        client.close()


@pytest.fixture
def no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 429 blocks its endpoint by the clock, which does not pass where nothing waits."""
    monkeypatch.setattr("source_incident.api.rate_limit.Pace.block", lambda *_: None)


def waits(client: Client) -> list[float]:
    stop = client._stop
    assert isinstance(stop, _NoWait)
    return stop.waits


def failing(client: Client, kind: type[ApiError], path: str = "/v2/things", **more: Any) -> ApiError:
    """The error of a request, seen to be of the kind, of one line, and without the key."""
    with pytest.raises(kind) as caught:
        client.get(path, **more)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert KEY not in repr(caught.value)
    assert KEY not in repr(vars(caught.value))
    assert caught.value.__cause__ is None
    return caught.value


# What goes out


def test_a_request_has_the_key_the_query_and_who_asks(make: Make) -> None:
    with ScriptedServer(answer({"things": [1]})) as server:
        client = make(server)
        response = client.get("/v2/things", {"page_size": 250, "category[one_of]": ["a", "b"]}, headers={"X-More": "1"})
    assert response.body == response.json() == {"things": [1]}
    head, *fields = server.requests[0].split("\r\n")
    assert head == "GET /v2/things?page_size=250&category%5Bone_of%5D=a&category%5Bone_of%5D=b HTTP/1.1"
    assert {f"Authorization: Bearer {KEY}", "User-Agent: tap/1", "X-More: 1"} <= set(fields)
    assert client.requests == 1


def test_a_path_in_the_endpoint_is_kept(make: Make) -> None:
    with ScriptedServer(answer(), answer(status=404)) as server:
        client = make(f"{server.url}/proxy/incident")
        client.get("/v2/things")
        error = failing(client, NotFoundError)
    assert server.lines()[0].startswith("GET /proxy/incident/v2/things ")
    assert error.message.startswith("GET /v2/things:")


def test_the_key_is_added_for_the_configured_origin_only(make: Make) -> None:
    with ScriptedServer() as configured, ScriptedServer() as other:
        client = make(configured)
        client.get(f"{configured.url}/v2/things")
        client.get(f"{other.url}/v2/things")
    assert KEY in configured.requests[0]
    assert KEY not in other.requests[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://api.incident.io/v1",
        "https://api.incident.io.evil.example/v1",
        "https://evil.example/api.incident.io",
        "https://api.incident.io:8443/v1",
        "https://api.incident.io@evil.example/v1",
        "",
    ],
)
def test_the_key_is_not_added_elsewhere(url: str) -> None:
    import requests

    prepared = requests.Request("GET", "https://api.incident.io/v1").prepare()
    prepared.url = url
    assert "Authorization" not in BearerAuth(KEY, "https://api.incident.io")(prepared).headers


def test_a_netrc_and_cookies_do_not_take_the_keys_place(
    make: Make, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedServer() as server:
        make(server).get("/v2/things")
    assert f"Authorization: Bearer {KEY}" in server.requests[0]


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_and_is_told(make: Make, status: int) -> None:
    with ScriptedServer() as target, ScriptedServer() as server:
        server.add(answer({"moved": True}, status, {"Location": f"{target.url}/v2/things"}))
        error = failing(make(server), RequestError)
    assert target.requests == []
    assert len(server.requests) == 1
    assert "redirects to 127.0.0.1" in error.message
    assert error.status == status


@pytest.mark.parametrize(
    "location",
    ["", "/v2/things", "http://[broken", "//", "http://host:port/", "javascript:x", f"https://{KEY}.example/", "\xff"],
)
def test_any_redirect_is_one_clear_error(make: Make, location: str) -> None:
    with ScriptedServer(answer(status=302, headers={"Location": location})) as server:
        error = failing(make(server), RequestError)
    assert len(server.requests) == 1
    assert "redirects" in error.message
    assert KEY.lower() not in error.message.lower()


# Errors


def test_a_401_says_what_to_do(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 401)) as server:
        error = failing(make(server), AuthenticationError)
    assert "does not accept the API key: It went wrong" in error.message
    assert "Make a new one" in error.message
    assert "req-42" in error.message
    assert (error.status, error.request_id) == (401, "req-42")


def test_a_403_names_the_scope(make: Make) -> None:
    body = {"errors": [{"code": "missing_required_scope", "metadata": {"scope": "workflows.view"}}]}
    with ScriptedServer(answer(body, 403)) as server:
        error = failing(make(server), ForbiddenError)
    assert isinstance(error, ForbiddenError)
    assert error.scope == "workflows.view"
    assert "the scope workflows.view to read /v2/things" in error.message


def test_a_403_without_a_scope_still_says_what_to_do(make: Make) -> None:
    with ScriptedServer(answer(content=b"<html>no</html>", status=403)) as server:
        error = failing(make(server), ForbiddenError)
    assert "a scope that it needs" in error.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestError),
        (404, NotFoundError),
        (405, RequestError),
        (410, RequestError),
        (422, RequestError),
        (501, RequestError),
    ],
)
def test_an_answer_that_will_not_pass_is_not_asked_for_again(make: Make, status: int, kind: type[ApiError]) -> None:
    with ScriptedServer(answer(ERROR, status)) as server:
        error = failing(make(server), kind)
    assert len(server.requests) == 1
    assert error.status == status
    assert "It went wrong" in error.message
    assert "req-42" in error.message


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {"errors": []},
        {"errors": None},
        {"errors": ["x"]},
        {"errors": [{"message": 5, "code": None, "metadata": []}]},
        {"type": {"a": 1}, "request_id": 7},
    ],
)
@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_an_error_body_of_any_shape_is_read(make: Make, body: Any, status: int) -> None:
    with ScriptedServer(answer(body, status)) as server:
        assert failing(make(server), ApiError if status == 0 else KINDS[status]).status == status


KINDS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    422: RequestError,
}


@pytest.mark.parametrize("status", [401, 403, 404, 422, 500])
@pytest.mark.parametrize("before", [0, 280, 295, 10_000])
def test_the_key_that_a_server_echoes_is_in_no_error(
    make: Make, status: int, before: int, caplog: pytest.LogCaptureFixture
) -> None:
    echo = "." * before + f"Bearer {KEY} and {KEY}"
    body = {
        "type": echo,
        "request_id": echo,
        "errors": [{"code": echo, "message": echo, "metadata": {"scope": echo}}],
    }
    with ScriptedServer(*[answer(body, status)] * 4) as server, pytest.raises(ApiError) as caught:
        make(server, max_retries=1).get("/v2/things", {"q": KEY})
    for text in (str(caught.value), repr(vars(caught.value)), caplog.text):
        assert KEY[:8] not in text


# Retries


@pytest.mark.parametrize("status", sorted(PASSING - {429}))
def test_a_passing_status_is_tried_again(make: Make, status: int, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedServer(answer(ERROR, status), answer({"ok": 1})) as server:
        client = make(server)
        assert client.get("/v2/things").body == {"ok": 1}
    assert (client.requests, client.retries) == (2, 1)
    (line,) = caplog.messages
    assert line.startswith(f"retry: GET /v2/things: {status}: It went wrong; waiting ")
    assert line.endswith(" s, try 2 of 4, request_id req-42")


@pytest.mark.parametrize("status", sorted(PASSING - {429}))
def test_a_passing_status_that_stays_ends_in_one_error(make: Make, status: int) -> None:
    with ScriptedServer(*[answer(ERROR, status)] * 9) as server:
        error = failing(make(server), TransientError)
    assert len(server.requests) == 4
    assert "given up after 4 tries" in error.message
    assert (error.status, error.request_id) == (status, "req-42")


def test_no_retries_means_one_try(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 503)) as server:
        failing(make(server, max_retries=0), TransientError)
    assert len(server.requests) == 1


@pytest.mark.usefixtures("no_block")
def test_a_429_waits_for_retry_after(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 429, {"Retry-After": "7"}), answer({"ok": 1})) as server:
        client = make(server)
        assert client.get("/v2/things").body == {"ok": 1}
    (waited,) = waits(client)
    assert 7 <= waited <= 7.25


@pytest.mark.usefixtures("no_block")
def test_a_429_does_not_count_as_a_try(make: Make) -> None:
    slow = answer(ERROR, 429, {"Retry-After": "1"})
    with ScriptedServer(*[slow] * 6, answer({"ok": 1})) as server:
        client = make(server, max_retries=0)
        assert client.get("/v2/things").body == {"ok": 1}
    assert client.retries == 6


@pytest.mark.usefixtures("no_block")
def test_429s_without_end_are_given_up_within_the_time_a_request_may_wait(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "LONGEST_REQUEST", 100.0)
    with ScriptedServer(*[answer(ERROR, 429, {"Retry-After": "3600"})] * 3) as server:
        error = failing(make(server), TransientError)
    assert len(server.requests) == 1
    assert "429" in error.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("1e99", LONGEST_WAIT),
        ("99999999999999999999", LONGEST_WAIT),
        ("inf", LONGEST_WAIT),
        ("-inf", 0.0),
        ("nan", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("Wed, 99 Nov 2026 99:00:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2999 07:28:00 GMT", LONGEST_WAIT),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date_and_absurd_values_are_bounded(
    header: str | None, seconds: float | None
) -> None:
    assert _retry_after(header) == seconds


def test_retry_after_as_a_date_is_the_time_until_then() -> None:
    found = _retry_after(email.utils.format_datetime(datetime.fromtimestamp(time.time() + 30, UTC), usegmt=True))
    assert found is not None
    assert 27 <= found <= 30


def test_the_backoff_doubles_to_a_ceiling_with_full_jitter(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make("http://127.0.0.1:1")
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    longest = [client._wait_before_retry(tries, None) for tries in range(1, 101)]
    assert longest[:3] == [1.0, 2.0, 4.0]
    assert max(longest) == client_module.BACKOFF_CEILING
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    assert {client._wait_before_retry(tries, None) for tries in range(1, 101)} == {0.0}


def test_the_waits_of_a_failing_request_stay_within_the_backoff(make: Make) -> None:
    with ScriptedServer(*[answer(ERROR, 500)] * 9) as server:
        client = make(server)
        failing(client, TransientError)
    assert len(waits(client)) == 3
    for tries, waited in enumerate(waits(client), 1):
        assert 0 <= waited <= 0.5 * 2**tries


def test_what_is_the_matter_with_a_server_that_is_not_there_is_said(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = failing(make(f"http://127.0.0.1:{port}", max_retries=1), TransientError)
    assert "connection refused" in error.message


@pytest.mark.parametrize("endpoint", ["https://.example", "https://*x", "https://a..b"])
def test_an_endpoint_that_is_no_host_is_an_error_of_the_request(make: Make, endpoint: str) -> None:
    failing(make(endpoint, max_retries=0), RequestError)


# Broken answers


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_after(sent: bytes) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        connection.sendall(sent)
        time.sleep(0.05)
        reset(connection)

    return script


WHOLE = answer({"things": ["x" * 100]})
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
GZIPPED = gzip.compress(b'{"things": [' + b"1," * 50_000 + b"1]}")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(reset, id="reset before the headers"),
        pytest.param(b"", id="closed before the headers"),
        pytest.param(reset_after(WHOLE[:20]), id="reset in the headers"),
        pytest.param(WHOLE[:20], id="closed in the headers"),
        pytest.param(reset_after(WHOLE[:-20]), id="reset in the body"),
        pytest.param(WHOLE[:-20], id="truncated, with Content-Length"),
        pytest.param(answer(content=b'{"things": [', headers={"Content-Length": ""}), id="truncated, without"),
        pytest.param(CHUNKED + b'5\r\n{"a":', id="truncated chunks"),
        pytest.param(CHUNKED + b"zz\r\n{}", id="broken chunks"),
        pytest.param(answer(content=b"{}", headers={"Content-Encoding": "gzip"}), id="not gzip"),
        pytest.param(answer(content=GZIPPED[:60], headers={"Content-Encoding": "gzip"}), id="half a gzip"),
        pytest.param(
            answer(content=GZIPPED[:30] + b"broken" + GZIPPED[36:], headers={"Content-Encoding": "gzip"}),
            id="broken gzip",
        ),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="a status that is none"),
    ],
)
def test_a_broken_answer_is_tried_again(make: Make, broken: Any) -> None:
    with ScriptedServer(broken, broken, answer({"ok": 1})) as server:
        client = make(server)
        assert client.get("/v2/things").body == {"ok": 1}
    assert client.requests == 3
    with ScriptedServer(*[broken] * 2) as server, pytest.raises((TransientError, UnexpectedAnswerError)):
        make(server, max_retries=1).get("/v2/things")


NOT_JSON = (b"", b"<html>502</html>", b'{"a": 1', b'{"a": 1} x', b"\xff\xfe{\x00}\x00")


@pytest.mark.parametrize("content", [*NOT_JSON, b"[]", b"null", b"1", b'"text"'])
def test_a_body_that_is_no_json_object_is_tried_again_then_told(make: Make, content: bytes) -> None:
    with ScriptedServer(answer(content=content), answer({"ok": 1}), *[answer(content=content)] * 4) as server:
        client = make(server)
        assert client.get("/v2/things").body == {"ok": 1}
        error = failing(client, TransientError if content in NOT_JSON else UnexpectedAnswerError)
    assert "given up after 4 tries" in error.message


def test_half_a_surrogate_pair_loses_no_record(make: Make) -> None:
    content = rb'{"cut": "x\ud83d", "late": "\ude00y", "whole": "\ud83d\ude00", "n": 9007199254740993, "f": 0.1}'
    with ScriptedServer(answer(content=content)) as server:
        body = make(server).get("/v2/things").body
    assert body == {"cut": "x\ufffd", "late": "\ufffdy", "whole": "\U0001f600", "n": 9007199254740993, "f": 0.1}


def test_a_body_of_another_shape_than_is_wanted_is_tried_again_then_told(make: Make) -> None:
    def validate(body: Any) -> None:
        if "things" not in body:
            raise UnexpectedAnswerError("the answer has no 'things'")

    with ScriptedServer(answer({}), answer({"things": []}), *[answer({})] * 4) as server:
        client = make(server)
        assert client.get("/v2/things", validate=validate).body == {"things": []}
        error = failing(client, UnexpectedAnswerError, validate=validate)
    assert error.message.endswith(
        "the answer has no 'things'; given up after 4 tries. Run the sync again later, and report it if it stays"
    )


def test_whole_answers_in_any_encoding_are_read(make: Make) -> None:
    plain = b'{"a": "\xc3\xa9"}'
    gzipped = answer(content=gzip.compress(plain), headers={"Content-Encoding": "gzip"})
    chunked = CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(plain), plain)
    unsized = answer(content=plain, headers={"Content-Length": "", "Content-Type": "text/html"})
    with ScriptedServer(gzipped, chunked, unsized) as server:
        client = make(server)
        assert [client.get("/v2/things").body for _ in range(3)] == [{"a": "é"}] * 3


@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_too_large_is_not_read_to_its_end(make: Make, monkeypatch: pytest.MonkeyPatch, encoded: bool) -> None:
    monkeypatch.setattr(client_module, "LARGEST_BODY", 100_000)
    monkeypatch.setattr(client_module, "CHUNK", 10_000)
    content = b" " * 5_000_000 + b"{}"
    headers = {"Content-Encoding": "gzip"} if encoded else {}
    big = answer(content=gzip.compress(content) if encoded else content, headers=headers)
    with ScriptedServer(*[big] * 2) as server:
        error = failing(make(server, max_retries=1), UnexpectedAnswerError)
    assert "larger than" in error.message


# Time


def trickle(server: ScriptedServer, sent: bytes, pause: float = 0.05) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        for byte in itertools.islice(itertools.cycle(sent), 200):
            connection.sendall(bytes([byte]))
            server.wait(pause)

    return script


def stall(server: ScriptedServer, sent: bytes = b"") -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        connection.sendall(sent)
        server.wait(10)

    return script


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", HEAD[:20], HEAD, HEAD + b'{"a":'])
def test_a_stall_is_bounded_by_the_request_timeout(make: Make, sent: bytes) -> None:
    with ScriptedServer() as server:
        server.add(*[stall(server, sent)] * 2, answer({"ok": 1}))
        client = make(server, request_timeout=0.3)
        started = time.monotonic()
        assert client.get("/v2/things").body == {"ok": 1}
    assert 0.5 < time.monotonic() - started < 2


def test_a_slow_body_is_bounded_by_the_request_timeout(make: Make) -> None:
    def slow(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        trickle(server, b" ")(connection)

    with ScriptedServer() as server:
        server.add(slow)
        started = time.monotonic()
        error = failing(make(server, request_timeout=0.3, max_retries=0), TransientError)
    assert time.monotonic() - started < 1
    assert "0.3 s" in error.message
    assert error.message.endswith("given up after 1 try. Run the sync again later")


@pytest.mark.parametrize(
    "sent", [HEAD[:-2] + b"X-Padding: " + b"x" * 1000, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 " + b"O" * 1000]
)
def test_headers_that_trickle_are_bounded_by_the_request_timeout(make: Make, sent: bytes) -> None:
    with ScriptedServer() as server:
        server.add(trickle(server, sent), answer({"ok": 1}))
        client = make(server, request_timeout=0.3)
        started = time.monotonic()
        assert client.get("/v2/things").body == {"ok": 1}
    assert time.monotonic() - started < 1
    assert client.retries == 1


def test_headers_and_body_share_the_request_timeout(make: Make) -> None:
    whole = answer({"things": 1})
    with ScriptedServer() as server:
        server.add(trickle(server, whole, pause=0.6 / len(whole)))
        error = failing(make(server, request_timeout=0.4, max_retries=0), TransientError)
        assert "the body did not come whole within 0.4 s" in error.message or "no answer within 0.4 s" in error.message
        server.add(trickle(server, whole, pause=0.2 / len(whole)))
        assert make(server, request_timeout=2).get("/v2/things").body == {"things": 1}


def test_a_proxys_answers_are_bounded_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as proxy:
        proxy.add(trickle(proxy, b"HTTP/1.1 200 " + b"O" * 1000), answer({"ok": 1}))
        monkeypatch.setenv("http_proxy", proxy.url)
        started = time.monotonic()
        assert make("http://api.example", request_timeout=0.3).get("/v2/things").body == {"ok": 1}
    assert time.monotonic() - started < 1
    assert proxy.lines()[0].startswith("GET http://api.example/v2/things ")


def test_a_kept_connection_gives_each_answer_its_whole_time(make: Make) -> None:
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


def test_stop_ends_a_wait_at_once(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 429, {"Retry-After": "120"})) as server:
        client = make(server)
        client._stop = threading.Event()
        threading.Timer(0.2, client.stop).start()
        started = time.monotonic()
        with pytest.raises(Stopped):
            client.get("/v2/things")
    assert time.monotonic() - started < 2
    assert client.stopped
    assert client.waited > 0.1


def test_seconds_in_which_several_requests_wait_count_once(make: Make) -> None:
    with ScriptedServer(default=lambda _: answer(ERROR, 503)) as server:
        client = make(server, max_retries=0)
        client._stop = threading.Event()
        client.pace.block("/v2/things", 0.5)
        waiting = [threading.Thread(target=failing, args=(client, TransientError)) for _ in range(5)]
        for thread in waiting:
            thread.start()
        time.sleep(0.25)
        assert client.waited > 0.1, "what goes on counts already"
        for thread in waiting:
            thread.join()
    assert 0.4 < client.waited < 2, "one after the other they waited 2.5"


def test_after_stop_no_request_is_made(make: Make) -> None:
    with ScriptedServer() as server:
        client = make(server)
        client.stop()
        with pytest.raises(Stopped):
            client.get("/v2/things")
    assert server.requests == []


def test_stop_ends_a_slow_body_at_its_next_bytes(make: Make) -> None:
    def slow(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        trickle(server, b" ")(connection)

    with ScriptedServer() as server:
        server.add(slow)
        client = make(server, request_timeout=30)
        threading.Timer(0.2, client.stop).start()
        started = time.monotonic()
        with pytest.raises(Stopped):
            client.get("/v2/things")
    assert time.monotonic() - started < 2


# The pace


def test_a_429_holds_back_the_other_requests_of_its_endpoint(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 429, {"Retry-After": "0.4"})) as server:
        client = make(server)
        client._stop = threading.Event()
        first = threading.Thread(target=client.get, args=("/v2/things",))
        started = time.monotonic()
        first.start()
        while not client.retries and time.monotonic() - started < 5:
            time.sleep(0.01)
        client.get("/v2/others")
        elsewhere = time.monotonic() - started
        client.get("/v2/things")
        held = time.monotonic() - started
        first.join(5)
    assert elsewhere < 0.4 <= held


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v2/incidents", "/v2/incidents"),
        ("/v2/incidents?after=1", "/v2/incidents"),
        ("/v2/users/01/notification_methods", "/v2/users/*/*"),
        ("/v2/users/02/notification_methods", "/v2/users/*/*"),
    ],
)
def test_requests_that_differ_in_ids_share_their_limit(make: Make, path: str, key: str) -> None:
    import requests

    client = make("https://proxy.example/incident")
    assert client._limit_key(requests.Request("GET", client.endpoint + path).prepare()) == key


def test_the_limits_of_an_answer_set_the_pace(make: Make) -> None:
    headers = {"X-RateLimit-Limit": "1200, 1200;window=60", "X-RateLimit-Remaining": "700"}
    with ScriptedServer(answer(headers=headers)) as server:
        client = make(server)
        assert client.pace.remaining is None
        client.get("/v2/things")
    assert client.pace.remaining is not None
    assert 700 <= client.pace.remaining <= 720


# The server's clock


def test_when_a_request_was_made_is_told_by_the_servers_clock(make: Make) -> None:
    with ScriptedServer(answer(headers={"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}), answer()) as server:
        client = make(server)
        began = client.get("/v2/things").began
        assert client.get("/v2/things").began is None
    assert began is not None
    assert 0 <= (datetime(2015, 10, 21, 7, 28, tzinfo=UTC) - began).total_seconds() < 2


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 99 Oct 2015 07:28:00 GMT", "5"])
def test_a_date_that_is_none_is_ignored(date: str | None) -> None:
    assert _server_time(date, 0.0) is None


def test_a_line_names_the_request_by_what_tells_pages_apart(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    query = {
        "page_size": 250,
        "status_category[one_of]": ["live", "closed"],
        "updated_at[gte]": "2026-01-01",
        "incident_id": "a b\n" + "x" * 500,
        "after": f"01{KEY}",
    }
    with ScriptedServer(answer(ERROR, 500), answer({"ok": 1})) as server:
        make(server).get(f"/v2/things/{KEY}", query)
    (line,) = caplog.messages
    named = f"/v2/things/****?updated_at[gte]=2026-01-01&incident_id=a+b%0A{'x' * 76}&after=01****"
    assert line.startswith(f"retry: GET {named}: 500")


def test_log_lines_do_not_hold_the_key(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "airbyte"), ScriptedServer(*[answer(ERROR, 500)] * 4) as server:
        failing(make(server), TransientError, f"/v2/{KEY}")
    assert caplog.messages
    assert KEY not in caplog.text


@pytest.mark.parametrize("status", [200, 429, 500])
@pytest.mark.usefixtures("no_block")
def test_retries_are_told_without_the_key_that_a_server_echoes(
    make: Make, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"request_id": KEY, "errors": [{"code": KEY, "message": "." * 290 + KEY}]}
    bad = answer(body, status) if status != 200 else answer(content=KEY.encode())
    with caplog.at_level(logging.DEBUG, "airbyte"), ScriptedServer(bad, answer({"ok": 1})) as server:
        assert make(server).get("/v2/things").body == {"ok": 1}
    (line,) = caplog.messages
    assert "\n" not in line
    assert KEY[:8] not in line
