"""Retries: which errors are retried, how long the waits are, when a request gives up."""

import email.utils
import random
import socket
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from source_incident.api import Cancelled, Client, TransientError, UnexpectedAnswerError
from source_incident.api import retry as retry_module
from source_incident.api.rate_limit import MAX_WAIT
from source_incident.api.responses import _retry_after
from source_incident.cancellation import CancellationToken
from unit_tests.api.clients import ERROR, Make, check_error, get_error, waits
from unit_tests.api.server import ScriptedServer, answer

# Written out, so that a status that the code drops is missed. 429 has tests of its own.
RETRIED = (408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)


@pytest.mark.parametrize("status", RETRIED)
def test_retries_a_transient_status(make: Make, status: int, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedServer(answer(ERROR, status), answer({"ok": 1})) as server:
        client = make(server)
        assert client.get("/v2/things").body == {"ok": 1}
    assert (client.requests, client.retries) == (2, 1)
    (line,) = caplog.messages
    assert line.startswith(f"retry: GET /v2/things: {status}: It went wrong; waiting ")
    assert line.endswith(" s, try 2 of 4, request_id req-42")


@pytest.mark.parametrize("status", RETRIED)
def test_a_transient_status_that_stays_ends_in_one_error(make: Make, status: int) -> None:
    with ScriptedServer(*[answer(ERROR, status)] * 9) as server:
        error = get_error(make(server), TransientError)
    assert len(server.requests) == 4
    assert "gave up after 4 tries" in error.message
    assert (error.status, error.request_id) == (status, "req-42")


def test_no_retries_means_one_try(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 503)) as server:
        get_error(make(server, max_retries=0), TransientError)
    assert len(server.requests) == 1


def test_names_the_reason_when_the_server_is_not_there(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = get_error(make(f"http://127.0.0.1:{port}", max_retries=1), TransientError)
    assert "connection refused" in error.message


# A check of the body by the caller


def read_things(client: Client) -> Any:
    """Read a list, and reject a body without it."""
    request = client.request("/v2/things")
    while True:
        response = request.send()
        if "things" in response.body:
            return response.body["things"]
        request.retry(UnexpectedAnswerError("the answer has no 'things'"))


def test_retries_a_body_that_the_caller_rejects_then_reports_it(make: Make) -> None:
    with ScriptedServer(answer({}), answer({"things": [1]}), *[answer({})] * 4) as server:
        client = make(server)
        assert read_things(client) == [1]
        assert client.retries == 1
        with pytest.raises(UnexpectedAnswerError) as caught:
            read_things(client)
    assert len(server.requests) == 6
    error = check_error(caught.value, UnexpectedAnswerError)
    assert error.message.endswith(
        "the answer has no 'things'; gave up after 4 tries. Run the sync again later. Report it if it happens again"
    )


def test_a_rejected_body_and_a_transient_status_share_the_tries(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 500), answer({}), answer(ERROR, 500), answer({})) as server:
        client = make(server)
        with pytest.raises(UnexpectedAnswerError, match="gave up after 4 tries"):
            read_things(client)
    assert len(server.requests) == 4
    assert len(waits(client)) == 3


# Waits


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
def test_gives_up_on_429s_within_the_time_limit_of_a_request(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_module, "MAX_REQUEST_SECONDS", 100.0)
    with ScriptedServer(*[answer(ERROR, 429, {"Retry-After": "3600"})] * 3) as server:
        error = get_error(make(server), TransientError)
    assert len(server.requests) == 1
    assert "429" in error.message


def test_gives_up_when_the_rate_limit_leaves_no_room_within_the_time_limit(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_module, "MAX_REQUEST_SECONDS", 100.0)
    with ScriptedServer() as server:
        client = make(server)
        client.rate_limiter.block("/v2/things", 200)
        error = get_error(client, TransientError)
    assert server.requests == []
    assert "the rate limit left no room within 100 s" in error.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("1e99", MAX_WAIT),
        ("99999999999999999999", MAX_WAIT),
        ("inf", MAX_WAIT),
        ("-inf", 0.0),
        ("nan", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("Wed, 99 Nov 2026 99:00:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2999 07:28:00 GMT", MAX_WAIT),
    ],
)
def test_reads_retry_after_in_seconds_or_as_a_date_and_bounds_it(header: str | None, seconds: float | None) -> None:
    assert _retry_after(header) == seconds


def test_retry_after_as_a_date_is_the_time_until_then() -> None:
    found = _retry_after(email.utils.format_datetime(datetime.fromtimestamp(time.time() + 30, UTC), usegmt=True))
    assert found is not None
    assert 27 <= found <= 30


def test_the_backoff_doubles_to_a_ceiling_with_full_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    longest = [retry_module._backoff(tries) for tries in range(1, 101)]
    assert longest[:3] == [1.0, 2.0, 4.0]
    assert max(longest) == retry_module.BACKOFF_CEILING
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    assert {retry_module._backoff(tries) for tries in range(1, 101)} == {0.0}


def test_the_waits_of_a_failing_request_stay_within_the_backoff(make: Make) -> None:
    with ScriptedServer(*[answer(ERROR, 500)] * 9) as server:
        client = make(server)
        get_error(client, TransientError)
    assert len(waits(client)) == 3
    for tries, waited in enumerate(waits(client), 1):
        assert 0 <= waited <= 0.5 * 2**tries


def test_cancellation_ends_a_wait_at_once(make: Make) -> None:
    token = CancellationToken()
    with ScriptedServer(answer(ERROR, 429, {"Retry-After": "120"})) as server:
        client = make(server, cancellation=token)
        threading.Timer(0.2, token.cancel).start()
        started_at = time.monotonic()
        with pytest.raises(Cancelled):
            client.get("/v2/things")
    assert time.monotonic() - started_at < 2
    assert client.cancellation.is_cancelled
    assert client.waited > 0.1


def test_counts_the_seconds_in_which_several_requests_wait_once(make: Make) -> None:
    with ScriptedServer(default=lambda _: answer(ERROR, 503)) as server:
        client = make(server, max_retries=0, cancellation=CancellationToken())
        client.rate_limiter.block("/v2/things", 0.5)
        threads = [threading.Thread(target=get_error, args=(client, TransientError)) for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(0.25)
        assert client.waited > 0.1, "a wait that has not ended counts too"
        for thread in threads:
            thread.join()
    assert 0.4 < client.waited < 2, "the sum of the waits is 2.5"


def test_a_429_delays_the_other_requests_of_its_endpoint(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 429, {"Retry-After": "0.4"})) as server:
        client = make(server, cancellation=CancellationToken())
        first = threading.Thread(target=client.get, args=("/v2/things",))
        started_at = time.monotonic()
        first.start()
        while not client.retries and time.monotonic() - started_at < 5:
            time.sleep(0.01)
        client.get("/v2/others")
        other_endpoint = time.monotonic() - started_at
        client.get("/v2/things")
        same_endpoint = time.monotonic() - started_at
        first.join(5)
    assert other_endpoint < 0.4 <= same_endpoint
