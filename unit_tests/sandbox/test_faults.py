"""The effect of each fault on a client."""

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
def get_with(faulty: Sandbox) -> Any:
    """Sends a request with one fault enabled."""
    clients = []

    def get(spec: Any, path: str = "/v2/alerts?page_size=50", timeout: float = 2.0) -> requests.Response:
        faulty.config(fault=[spec])
        client = Client(faulty)
        clients.append(client)
        return client.session.get(faulty.url + path, timeout=timeout, allow_redirects=False)

    yield get
    faulty.config(fault=[])
    for client in clients:
        client.session.close()


def test_status_sends_an_error(get_with: Any) -> None:
    for code in (408, 429, 500, 503, 401, 403, 404):
        response = get_with(str(code))
        assert (response.status_code, response.json()["status"]) == (code, code)
        assert response.json()["request_id"]
    assert "Retry-After" not in get_with("429").headers
    assert get_with("429:retry_after=7").headers["Retry-After"] == "7"
    assert get_with("429:retry_after=date9").headers["Retry-After"].endswith("GMT")
    assert get_with("429:retry_after=1e99").headers["Retry-After"] == "1e99"
    assert get_with("403:scope=a.b").json()["errors"][0]["metadata"] == {"scope": "a.b"}
    assert get_with("502").text.startswith("<html>")
    assert get_with("500:body=empty").content == b""
    assert "errors" not in get_with("500:body=no_errors").json()


def test_echo_repeats_the_key(get_with: Any) -> None:
    response = get_with("echo:code=401")
    assert "Bearer sandbox-key" in response.text
    assert response.headers["x-rejected"] == "Bearer sandbox-key"


def test_redirect_sends_a_location(get_with: Any) -> None:
    assert get_with("redirect").headers["Location"] == "http://127.0.0.2:9/elsewhere"
    to = {"kind": "redirect", "to": "http://example.test/", "code": 307}
    response = get_with(to)
    assert (response.status_code, response.headers["Location"]) == (307, "http://example.test/")
    assert get_with("redirect:to=loop").headers["Location"] == "/v2/alerts?page_size=50"


@pytest.mark.parametrize("spec", ["reset", "reset:at=headers", "reset:at=body"])
def test_reset_resets_the_connection(get_with: Any, spec: str) -> None:
    with pytest.raises(requests.RequestException, match="reset by peer"):
        get_with(spec)


@pytest.mark.parametrize("spec", ["truncate", "truncate:framing=chunked"])
def test_truncate_is_detected_with_a_length_or_chunks(get_with: Any, spec: str) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get_with(spec)


def test_a_body_cut_without_framing_is_invalid_json(get_with: Any) -> None:
    for spec in ("truncate:framing=close", "cut_json"):
        response = get_with(spec)
        assert response.status_code == 200
        with pytest.raises(requests.JSONDecodeError):
            response.json()


def test_stall_and_slow_delay_the_response(get_with: Any) -> None:
    assert get_with("stall:seconds=0.2").elapsed.total_seconds() >= 0.2
    started = time.monotonic()
    assert get_with("stall:at=body,seconds=0.2").json()["alerts"]
    assert time.monotonic() - started >= 0.2
    for spec in ("stall", "stall:at=body", "slow"):
        with pytest.raises(requests.RequestException, match="timed out"):
            get_with(spec, timeout=0.2)
    assert get_with("slow:bytes=10000,seconds=0.01").json()["alerts"]


def test_a_slow_body_does_not_trigger_a_read_timeout(faulty: Sandbox) -> None:
    faulty.config(fault=["slow:bytes=1,seconds=0.02"])
    with Client(faulty).session as session:
        started = time.monotonic()
        with session.get(faulty.url + "/v1/severities", timeout=0.5, stream=True) as response:
            received = b""
            for piece in response.iter_content(1):
                received += piece
                if time.monotonic() - started > 0.8:
                    break
    assert 5 < len(received) < 100
    faulty.config(fault=[])


def test_slow_headers_do_not_trigger_a_read_timeout(get_with: Any) -> None:
    assert get_with("slow:at=headers,bytes=10000,seconds=0.01").json()["alerts"]
    started = time.monotonic()
    assert get_with("slow:at=headers,bytes=40,seconds=0.1,times=1", "/v1/severities", timeout=0.5).json()["severities"]
    assert time.monotonic() - started > 0.8


def test_refuse_rejects_connections_for_some_seconds(faulty: Sandbox, get_with: Any) -> None:
    with pytest.raises(requests.ConnectionError):
        get_with("refuse:seconds=0.4")
    with pytest.raises(requests.ConnectionError, match="refused"):
        Client(faulty).get("/v1/identity")
    time.sleep(0.6)
    faulty.config(fault=[])
    assert Client(faulty).get("/v1/identity").status_code == 200


def test_huge_pads_the_body(get_with: Any) -> None:
    assert len(get_with("huge:bytes=20000000").content) == 20_000_000


def test_shape_changes_the_json(get_with: Any) -> None:
    assert isinstance(get_with("shape:as=list").json(), list)
    assert get_with("shape:as=null").json() is None
    assert get_with("shape:as=string").json() == "ok"
    assert "alerts" not in get_with("shape:as=missing").json()
    assert get_with("shape:as=empty").json() == {}
    assert list(get_with("shape:as=no_meta").json()) == ["alerts"]
    assert get_with("shape:as=null_records").json()["alerts"] is None
    assert get_with("shape:as=string_record").json()["alerts"][1] == "a record"
    assert "id" not in get_with("shape:as=no_id").json()["alerts"][0]
    assert get_with("shape:as=message").json() == {"message": "Something went wrong"}


@pytest.mark.parametrize(("variant", "records"), [("no_records", 0), ("half", 1)])
def test_shape_ends_a_list_early_and_keeps_its_total(get_with: Any, variant: str, records: int) -> None:
    path = "/v2/incidents?page_size=2"
    meta = get_with("date:offset=0", path).json()["pagination_meta"]
    body = get_with(f"shape:as={variant}", path).json()
    assert len(body["incidents"]) == records
    assert body["pagination_meta"] == {"page_size": 2, "total_record_count": meta["total_record_count"]}
    assert meta["total_record_count"] > 2


def test_shape_changes_a_list_in_an_object_of_lists(faulty: Sandbox, get_with: Any) -> None:
    path = f"/v2/incident_participants?incident_id={faulty.records('incidents')[0]['id']}"
    missing = get_with("shape:as=missing_list,list=active", path).json()["incident_participants"]
    assert missing.keys() == {"passive"}
    null = get_with("shape:as=null_list,list=passive", path).json()["incident_participants"]
    assert null["passive"] is None
    assert isinstance(null["active"], list)


def test_content_type_encoding_and_gzip_change_the_body(get_with: Any) -> None:
    assert get_with("content_type").headers["Content-Type"] == "text/html"
    assert get_with("content_type:body=html").text.startswith("<html>")
    assert get_with("encoding").content.decode("utf-16").startswith('{"alerts"')
    with pytest.raises(UnicodeDecodeError):
        get_with("encoding:as=bytes").content.decode()
    assert get_with("gzip:as=good").json()["alerts"]
    for spec in ("gzip", "gzip:as=plain"):
        with pytest.raises(requests.exceptions.ContentDecodingError):
            get_with(spec)


def cursors(faulty: Sandbox, spec: str, maximum: int = 12) -> list[Any]:
    """`after` of each page, until the list ends."""
    faulty.config(fault=[spec])
    client = Client(faulty)
    found: list[Any] = []
    after: dict[str, str] = {}
    with client.session:
        for _ in range(maximum):
            body = client.ok("/v2/alerts", page_size=10, **after)
            found.append(body["pagination_meta"].get("after"))
            if not isinstance(found[-1], str):
                break
            after = {"after": found[-1]}
    faulty.config(fault=[])
    return found


def test_after_and_duplicate_change_the_page(faulty: Sandbox, get_with: Any) -> None:
    assert len(set(cursors(faulty, "after"))) == 1
    cycle = cursors(faulty, "after:as=cycle,pages=3")
    assert len(cycle) == 12
    assert cycle[:3] == cycle[3:6] == cycle[6:9]
    assert cursors(faulty, "after:as=number") == [12345]
    assert get_with("after:as=empty").json()["pagination_meta"]["after"] == ""
    ids = [r["id"] for r in get_with("duplicate").json()["alerts"]]
    assert len(ids) == 51
    assert len(set(ids)) == 50


def test_duplicate_repeats_records_of_the_previous_page(faulty: Sandbox) -> None:
    faulty.config(fault=["duplicate:as=previous"])
    client = Client(faulty)
    with client.session:
        first = client.ok("/v2/alerts", page_size=10)
        after = first["pagination_meta"]["after"]
        second = client.ok("/v2/alerts", page_size=10, after=after)
    assert second["alerts"][:3] == first["alerts"][-3:]
    assert len(second["alerts"]) == 13
    faulty.config(fault=[])


def test_date_changes_the_date_header(get_with: Any) -> None:
    plain = get_with("date:offset=0").headers["Date"]
    assert get_with("date:offset=-864000").headers["Date"] != plain
    assert get_with("date:value=soon").headers["Date"] == "soon"


def test_selectors_choose_the_requests(start: Start) -> None:
    sandbox, client = start(incidents=3)

    def statuses(spec: str, paths: list[str]) -> list[int]:
        sandbox.config(fault=[spec])
        return [client.get(path).status_code for path in paths]

    paths = ["/v1/severities"] * 6
    assert statuses("500:nth=2", paths) == [200, 500, 200, 200, 200, 200]
    assert statuses("500:nth=2-4", paths) == [200, 500, 500, 500, 200, 200]
    assert statuses("500:nth=3-", paths) == [200, 200, 500, 500, 500, 500]
    assert statuses("500:every=3", paths) == [500, 200, 200, 500, 200, 200]
    assert statuses("500:times=2", paths) == [500, 500, 200, 200, 200, 200]
    two = ["/v1/severities", "/v2/users"]
    assert statuses("500:path=/v2/*", two) == [200, 500]
    assert statuses("500:query=after=", ["/v2/users", "/v2/users?after=x"]) == [200, 500]
    sampled = statuses("500:rate=0.3", ["/v1/severities"] * 200)
    assert 30 < sampled.count(500) < 90
    assert sandbox.faults() == [{"fault": "500:rate=0.3", "seen": 200, "struck": sampled.count(500)}]
    assert [e.get("fault") for e in sandbox.requests()["log"][:2]] == [None, "status"]


def test_at_most_one_fault_is_applied_per_request(start: Start) -> None:
    _, client = start(incidents=3, fault=["500:nth=1", "429:nth=1"])
    assert [client.get("/v1/severities").status_code for _ in range(3)] == [500, 429, 200]


@pytest.mark.parametrize("spec", ["nonsense", "", "500:rate=often", {"rate": 1}])
def test_rejects_an_invalid_fault(spec: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown kind|could not convert"):
        parse_fault(spec)


def test_every_kind_has_a_docstring() -> None:
    assert all(kind.__doc__ for kind in KINDS.values())
