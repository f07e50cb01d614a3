"""Each fault, as a client sees it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from sandbox import Sandbox
from sandbox.faults import KINDS, parse_fault

from .conftest import Client, Start


@pytest.fixture(scope="module")
def faulty() -> Any:
    with Sandbox(incidents=5, alerts=120) as sandbox:
        yield sandbox


@pytest.fixture
def strike(faulty: Sandbox) -> Any:
    """Ask with one fault on; the answer, or the error that the client got."""
    clients = []

    def ask(spec: Any, path: str = "/v2/alerts?page_size=50", wait: float = 2.0) -> requests.Response:
        faulty.config(fault=[spec])
        client = Client(faulty)
        clients.append(client)
        return client.session.get(faulty.url + path, timeout=wait, allow_redirects=False)

    yield ask
    faulty.config(fault=[])
    for client in clients:
        client.session.close()


def test_statuses(strike: Any) -> None:
    for code in (408, 429, 500, 503, 401, 403, 404):
        response = strike(str(code))
        assert (response.status_code, response.json()["status"]) == (code, code)
        assert response.json()["request_id"]
    assert "Retry-After" not in strike("429").headers
    assert strike("429:retry_after=7").headers["Retry-After"] == "7"
    assert strike("429:retry_after=date9").headers["Retry-After"].endswith("GMT")
    assert strike("429:retry_after=1e99").headers["Retry-After"] == "1e99"
    assert strike("403:scope=a.b").json()["errors"][0]["metadata"] == {"scope": "a.b"}
    assert strike("502").text.startswith("<html>")
    assert strike("500:body=empty").content == b""
    assert "errors" not in strike("500:body=no_errors").json()


def test_an_echo_holds_the_key(strike: Any) -> None:
    response = strike("echo:code=401")
    assert "Bearer sandbox-key" in response.text
    assert response.headers["x-rejected"] == "Bearer sandbox-key"


def test_redirects(strike: Any) -> None:
    assert strike("redirect").headers["Location"] == "http://127.0.0.2:9/elsewhere"
    to = {"kind": "redirect", "to": "http://example.test/", "code": 307}
    response = strike(to)
    assert (response.status_code, response.headers["Location"]) == (307, "http://example.test/")
    assert strike("redirect:to=loop").headers["Location"] == "/v2/alerts?page_size=50"


@pytest.mark.parametrize("spec", ["reset", "reset:at=headers", "reset:at=body"])
def test_resets(strike: Any, spec: str) -> None:
    with pytest.raises(requests.RequestException, match="reset by peer"):
        strike(spec)


@pytest.mark.parametrize("spec", ["truncate", "truncate:framing=chunked"])
def test_truncated_bodies_that_one_can_tell(strike: Any, spec: str) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        strike(spec)


def test_truncated_bodies_that_one_cannot_tell(strike: Any) -> None:
    for spec in ("truncate:framing=close", "cut_json"):
        response = strike(spec)
        assert response.status_code == 200
        with pytest.raises(requests.JSONDecodeError):
            response.json()


def test_silence(strike: Any) -> None:
    assert strike("stall:seconds=0.2").elapsed.total_seconds() >= 0.2
    began = time.monotonic()
    assert strike("stall:at=body,seconds=0.2").json()["alerts"]
    assert time.monotonic() - began >= 0.2
    for spec in ("stall", "stall:at=body", "slow"):
        with pytest.raises(requests.RequestException, match="timed out"):
            strike(spec, wait=0.2)
    assert strike("slow:bytes=10000,seconds=0.01").json()["alerts"]


def test_a_slow_body_outlasts_a_read_timeout(faulty: Sandbox) -> None:
    faulty.config(fault=["slow:bytes=1,seconds=0.02"])
    with Client(faulty).session as session:
        began = time.monotonic()
        with session.get(faulty.url + "/v1/severities", timeout=0.5, stream=True) as response:
            received = b""
            for piece in response.iter_content(1):
                received += piece
                if time.monotonic() - began > 0.8:
                    break
    assert 5 < len(received) < 100
    faulty.config(fault=[])


def test_slow_headers_outlast_a_read_timeout(strike: Any) -> None:
    assert strike("slow:at=headers,bytes=10000,seconds=0.01").json()["alerts"]
    began = time.monotonic()
    assert strike("slow:at=headers,bytes=40,seconds=0.1,times=1", "/v1/severities", wait=0.5).json()["severities"]
    assert time.monotonic() - began > 0.8


def test_refused_connections(faulty: Sandbox, strike: Any) -> None:
    with pytest.raises(requests.ConnectionError):
        strike("refuse:seconds=0.4")
    with pytest.raises(requests.ConnectionError, match="refused"):
        Client(faulty).get("/v1/identity")
    time.sleep(0.6)
    faulty.config(fault=[])
    assert Client(faulty).get("/v1/identity").status_code == 200


def test_a_huge_body(strike: Any) -> None:
    assert len(strike("huge:bytes=20000000").content) == 20_000_000


def test_shapes(strike: Any) -> None:
    assert isinstance(strike("shape:as=list").json(), list)
    assert strike("shape:as=null").json() is None
    assert strike("shape:as=string").json() == "ok"
    assert "alerts" not in strike("shape:as=missing").json()
    assert strike("shape:as=empty").json() == {}
    assert list(strike("shape:as=no_meta").json()) == ["alerts"]
    assert strike("shape:as=null_records").json()["alerts"] is None
    assert strike("shape:as=string_record").json()["alerts"][1] == "a record"
    assert "id" not in strike("shape:as=no_id").json()["alerts"][0]


def test_encodings(strike: Any) -> None:
    assert strike("content_type").headers["Content-Type"] == "text/html"
    assert strike("content_type:body=html").text.startswith("<html>")
    assert strike("encoding").content.decode("utf-16").startswith('{"alerts"')
    with pytest.raises(UnicodeDecodeError):
        strike("encoding:as=bytes").content.decode()
    assert strike("gzip:as=good").json()["alerts"]
    for spec in ("gzip", "gzip:as=plain"):
        with pytest.raises(requests.exceptions.ContentDecodingError):
            strike(spec)


def pages(faulty: Sandbox, spec: str, most: int = 12) -> list[Any]:
    """What `after` was on each page, until it ends."""
    faulty.config(fault=[spec])
    client = Client(faulty)
    found, after = [], {}
    with client.session:
        for _ in range(most):
            body = client.ok("/v2/alerts", page_size=10, **after)
            found.append(body["pagination_meta"].get("after"))
            if not isinstance(found[-1], str):
                break
            after = {"after": found[-1]}
    faulty.config(fault=[])
    return found


def test_pages_that_mislead(faulty: Sandbox, strike: Any) -> None:
    assert len(set(pages(faulty, "after"))) == 1
    cycle = pages(faulty, "after:as=cycle,pages=3")
    assert len(cycle) == 12
    assert cycle[:3] == cycle[3:6] == cycle[6:9]
    assert pages(faulty, "after:as=number") == [12345]
    assert strike("after:as=empty").json()["pagination_meta"]["after"] == ""
    ids = [r["id"] for r in strike("duplicate").json()["alerts"]]
    assert len(ids) == 51
    assert len(set(ids)) == 50


def test_records_of_the_page_before(faulty: Sandbox) -> None:
    faulty.config(fault=["duplicate:as=previous"])
    client = Client(faulty)
    with client.session:
        first = client.ok("/v2/alerts", page_size=10)
        after = first["pagination_meta"]["after"]
        second = client.ok("/v2/alerts", page_size=10, after=after)
    assert second["alerts"][:3] == first["alerts"][-3:]
    assert len(second["alerts"]) == 13
    faulty.config(fault=[])


def test_the_date_jumps(strike: Any) -> None:
    plain = strike("date:offset=0").headers["Date"]
    assert strike("date:offset=-864000").headers["Date"] != plain
    assert strike("date:value=soon").headers["Date"] == "soon"


def test_whom_a_fault_strikes(start: Start) -> None:
    sandbox, client = start(incidents=3)

    def statuses(spec: str, paths: list[str]) -> list[int]:
        sandbox.config(fault=[spec])
        return [client.get(path).status_code for path in paths]

    same = ["/v1/severities"] * 6
    assert statuses("500:nth=2", same) == [200, 500, 200, 200, 200, 200]
    assert statuses("500:nth=2-4", same) == [200, 500, 500, 500, 200, 200]
    assert statuses("500:every=3", same) == [500, 200, 200, 500, 200, 200]
    assert statuses("500:times=2", same) == [500, 500, 200, 200, 200, 200]
    two = ["/v1/severities", "/v2/users"]
    assert statuses("500:path=/v2/*", two) == [200, 500]
    assert statuses("500:query=after=", ["/v2/users", "/v2/users?after=x"]) == [200, 500]
    often = statuses("500:rate=0.3", ["/v1/severities"] * 200)
    assert 30 < often.count(500) < 90
    assert sandbox.faults() == [{"fault": "500:rate=0.3", "seen": 200, "struck": often.count(500)}]
    assert [e.get("fault") for e in sandbox.requests()["log"][:2]] == [None, "status"]


def test_several_faults_stand_side_by_side(start: Start) -> None:
    _, client = start(incidents=3, fault=["500:nth=1", "429:nth=1"])
    assert [client.get("/v1/severities").status_code for _ in range(3)] == [500, 429, 200]


@pytest.mark.parametrize("spec", ["nonsense", "", "500:rate=often", {"rate": 1}])
def test_a_fault_that_makes_no_sense_is_refused(spec: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown kind|could not convert"):
        parse_fault(spec)


def test_every_kind_says_what_it_does() -> None:
    assert all(kind.__doc__ for kind in KINDS.values())
