"""The client: requests, answers, errors, the texts that name a request."""

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from source_incident.api import (
    ApiError,
    AuthenticationError,
    Cancelled,
    Client,
    ForbiddenError,
    NotFoundError,
    RedirectError,
    RequestError,
    TransientError,
)
from source_incident.api.transport import _server_time
from source_incident.cancellation import CancellationToken
from unit_tests.api.clients import ERROR, KEY, Make, NoWaitToken, get_error
from unit_tests.api.server import FORBIDDEN, NOT_FOUND, ScriptedServer, answer

# Requests


def test_sends_the_key_the_query_and_the_user_agent(make: Make) -> None:
    with ScriptedServer(answer({"things": [1]})) as server:
        client = make(server)
        response = client.get("/v2/things", {"page_size": 250, "category[one_of]": ["a", "b"]})
    assert response.body == {"things": [1]}
    head, *fields = server.requests[0].split("\r\n")
    assert head == "GET /v2/things?page_size=250&category%5Bone_of%5D=a&category%5Bone_of%5D=b HTTP/1.1"
    assert {f"Authorization: Bearer {KEY}", "User-Agent: tap/1", "Accept: application/json"} <= set(fields)
    assert (client.requests, client.answers, client.retries) == (1, 1, 0)


def test_keeps_a_path_in_the_endpoint(make: Make) -> None:
    with ScriptedServer(answer(), answer(NOT_FOUND, 404)) as server:
        client = make(f"{server.url}/proxy/incident")
        client.get("/v2/things")
        error = get_error(client, NotFoundError)
    assert server.lines()[0].startswith("GET /proxy/incident/v2/things ")
    assert error.message.startswith("GET /v2/things:")


def test_a_client_without_a_token_has_its_own() -> None:
    one, other = (Client(endpoint="http://127.0.0.1:1", api_key=KEY, user_agent="tap/1") for _ in range(2))
    one.cancellation.cancel()
    assert not other.cancellation.is_cancelled


@pytest.mark.parametrize("endpoint", ["https://.example", "https://*x", "https://a..b"])
def test_an_endpoint_that_is_not_a_valid_host_is_a_request_error(make: Make, endpoint: str) -> None:
    get_error(make(endpoint, max_retries=0), RequestError)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v2/incidents", "/v2/incidents"),
        ("/v2/incidents?after=1", "/v2/incidents"),
        ("/v2/users/01/notification_methods", "/v2/users/*/*"),
        ("/v2/users/02/notification_methods", "/v2/users/*/*"),
    ],
)
def test_requests_that_differ_in_ids_share_a_limit(make: Make, path: str, key: str) -> None:
    client = make("https://proxy.example/incident")
    assert client._limit_key(requests.Request("GET", client.endpoint + path).prepare()) == key


def test_the_limits_of_an_answer_set_the_rate(make: Make) -> None:
    headers = {"X-RateLimit-Limit": "1200, 1200;window=60", "X-RateLimit-Remaining": "700"}
    with ScriptedServer(answer(headers=headers)) as server:
        client = make(server)
        assert client.rate_limiter.remaining is None
        client.get("/v2/things")
    assert client.rate_limiter.remaining is not None
    assert 700 <= client.rate_limiter.remaining <= 720


def test_makes_no_request_after_cancellation(make: Make) -> None:
    token = CancellationToken()
    with ScriptedServer() as server:
        client = make(server, cancellation=token)
        token.cancel()
        with pytest.raises(Cancelled):
            client.get("/v2/things")
    assert server.requests == []
    assert client.requests == 0


# Errors


def test_a_401_says_what_to_do(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 401)) as server:
        error = get_error(make(server), AuthenticationError)
    assert "does not accept the API key: It went wrong" in error.message
    assert "Create a new key" in error.message
    assert "req-42" in error.message
    assert (error.status, error.request_id) == (401, "req-42")


def test_a_403_names_the_scope(make: Make) -> None:
    with ScriptedServer(answer(FORBIDDEN, 403)) as server:
        error = get_error(make(server), ForbiddenError)
    assert isinstance(error, ForbiddenError)
    assert error.scope == "some.scope"
    assert "the scope some.scope to read /v2/things" in error.message


def test_a_403_without_a_scope_still_says_what_to_do(make: Make) -> None:
    with ScriptedServer(answer(ERROR, 403)) as server:
        error = get_error(make(server), ForbiddenError)
    assert "a scope that it needs" in error.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestError),
        (405, RequestError),
        (410, RequestError),
        (422, RequestError),
        (501, RequestError),
    ],
)
def test_does_not_retry_a_final_status(make: Make, status: int, kind: type[ApiError]) -> None:
    with ScriptedServer(answer(ERROR, status)) as server:
        error = get_error(make(server), kind)
    assert len(server.requests) == 1
    assert error.status == status
    assert "It went wrong" in error.message
    assert "req-42" in error.message


def test_does_not_retry_the_apis_own_404(make: Make) -> None:
    with ScriptedServer(answer(NOT_FOUND, 404)) as server:
        error = get_error(make(server), NotFoundError)
    assert len(server.requests) == 1
    assert "Could not find it" in error.message


@pytest.mark.parametrize("body", [None, ERROR, {"type": "not_found", "request_id": "r"}, {"errors": []}])
def test_retries_a_404_that_does_not_say_that_the_record_is_missing(make: Make, body: Any) -> None:
    with ScriptedServer(answer(body, 404), answer({"things": []})) as server:
        assert make(server, cancellation=NoWaitToken()).get("/v2/things").body == {"things": []}


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("content", [b"<html>blocked by the firewall</html>", b"", b"{}", b'{"message": "no route"}'])
def test_retries_the_403_and_404_of_a_gateway_and_then_fails(make: Make, status: int, content: bytes) -> None:
    with ScriptedServer(*[answer(content=content, status=status)] * 3) as server:
        error = get_error(make(server, max_retries=2, cancellation=NoWaitToken()), TransientError)
    assert len(server.requests) == 3
    assert "without the API's error body" in error.message
    assert "scope" not in error.message


def test_a_redirect_has_an_error_of_its_own(make: Make) -> None:
    with ScriptedServer(answer(None, 302, {"Location": "https://evil.example/x"})) as server:
        error = get_error(make(server), RedirectError)
    assert "evil.example" in error.message
    assert len(server.requests) == 1


KINDS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: TransientError,
    404: TransientError,
    422: RequestError,
}


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
@pytest.mark.parametrize("status", list(KINDS))
def test_reads_an_error_body_of_any_shape(make: Make, body: Any, status: int) -> None:
    with ScriptedServer(answer(body, status)) as server:
        assert get_error(make(server, max_retries=0), KINDS[status]).status == status


# Texts without the key


@pytest.mark.parametrize("status", [401, 403, 404, 422, 500])
@pytest.mark.parametrize("before", [0, 280, 295, 10_000])
def test_redacts_a_key_that_the_server_echoes(
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


def test_log_lines_do_not_hold_the_key(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "airbyte"), ScriptedServer(*[answer(ERROR, 500)] * 4) as server:
        get_error(make(server), TransientError, f"/v2/{KEY}")
    assert caplog.messages
    assert KEY not in caplog.text


@pytest.mark.parametrize("status", [200, 429, 500])
@pytest.mark.usefixtures("no_block")
def test_logs_a_retry_without_a_key_that_the_server_echoes(
    make: Make, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"request_id": KEY, "errors": [{"code": KEY, "message": "." * 290 + KEY}]}
    bad = answer(body, status) if status != 200 else answer(content=KEY.encode())
    with caplog.at_level(logging.DEBUG, "airbyte"), ScriptedServer(bad, answer({"ok": 1})) as server:
        assert make(server).get("/v2/things").body == {"ok": 1}
    (line,) = caplog.messages
    assert "\n" not in line
    assert KEY[:8] not in line


def test_redacts_the_key_in_any_case(make: Make) -> None:
    client = make("https://proxy.example")
    assert client.redact(f"{KEY} {KEY.lower()} {KEY.upper()} {KEY[:-1]}") == f"**** **** **** {KEY[:-1]}"


def test_a_log_line_names_the_request_by_the_parameters_that_tell_pages_apart(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
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


# The server's clock


def test_takes_the_moment_of_a_request_from_the_servers_clock(make: Make) -> None:
    with ScriptedServer(answer(headers={"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}), answer()) as server:
        client = make(server)
        requested_at = client.get("/v2/things").requested_at
        assert client.get("/v2/things").requested_at is None
    assert requested_at is not None
    assert 0 <= (datetime(2015, 10, 21, 7, 28, tzinfo=UTC) - requested_at).total_seconds() < 2


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 99 Oct 2015 07:28:00 GMT", "5"])
def test_ignores_a_date_that_is_not_valid(date: str | None) -> None:
    assert _server_time(date, 0.0) is None
