"""Servers, proxies and files that are made to do harm. Each test runs the program against 127.0.0.1."""

from __future__ import annotations

import gzip
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from integration_tests.support.account import declarations
from integration_tests.support.catalog import Catalog
from integration_tests.support.process import run_with_peak_memory
from integration_tests.support.tap import AIRBYTE, SINGER, Run, Tap
from unit_tests.api.server import ScriptedServer, answer

KEY = "inc_5ecret_key_0123456789abcdef"
MB = 2**20
# docs/reliability.md promises it.
MAX_PEAK = 400
# No run here takes longer, on a loaded machine too.
SECONDS = 110
# Ten lists, which the program reads at the same time.
LISTS = (
    "alerts", "escalations", "custom_fields", "incident_statuses", "users", "severities", "incident_types",
    "incident_roles", "incident_timestamps", "schedules",
)  # fmt: skip
HARMFUL = "\x1b]0;owned\x07\x1b[2J\u202e\r\nFATAL forged line\u2028\x9b31m"


@pytest.fixture
def tap(protocol: str, tmp_path: Path) -> Callable[..., Tap]:
    """Configure the program for a server: `tap(server, **settings)`."""

    def make(server: ScriptedServer, **settings: Any) -> Tap:
        return Tap(protocol, {"api_key": KEY, "endpoint": server.url, "max_retries": 0, **settings}, tmp_path)

    return make


MakeTap = Callable[..., Tap]


def assert_safe(run: Run) -> None:
    """Check that the output has no key, no traceback, and no character that a terminal obeys."""
    for text in (run.stdout.decode(), run.stderr):
        assert KEY.lower() not in text.lower()
        assert "Traceback" not in text
        assert not re.search(r"[^\x20-\x7e\n]", text)
    assert "please report it:" not in run.log
    assert not re.search("^FATAL forged", run.stdout.decode() + run.stderr, re.MULTILINE)


def page(key: str, *records: Mapping[str, Any], after: Any = None) -> bytes:
    return answer({key: list(records), "pagination_meta": {"after": after, "page_size": 25}})


def path_of(request: str) -> str:
    return request.partition("?")[0]


# Proxies


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_a_proxy_never_gets_a_request_for_an_http_endpoint(tap: MakeTap, variable: str) -> None:
    with ScriptedServer() as proxy, ScriptedServer(default=lambda path: page("incidents")) as server:
        started = tap(server)
        arguments = ("check", "--config", started.file("config", started.config))
        run = started.run(*arguments, environment={variable: proxy.url, "no_proxy": "", "NO_PROXY": ""})
    assert run.code == 0
    assert f"Authorization: Bearer {KEY}" in server.requests[0]
    assert proxy.requests == []


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_a_proxy_for_an_https_endpoint_does_not_see_the_key(tap: MakeTap, variable: str) -> None:
    with ScriptedServer(default=lambda path: b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as proxy:
        started = tap(proxy, endpoint="https://api.invalid")
        arguments = ("check", "--config", started.file("config", started.config))
        run = started.run(*arguments, environment={variable: proxy.url})
    assert proxy.lines()
    assert all(line.startswith("CONNECT api.invalid:443 HTTP/1.") for line in proxy.lines())
    assert not any("authorization" in request.lower() or KEY in request for request in proxy.requests)
    assert_safe(run)


@pytest.mark.parametrize(
    "proxy",
    ["http://user:pass-4711@[broken", "http://user:pass-4711@ho st:80", "pass-4711://host", "http://pass-4711@:x"],
)
def test_a_proxy_that_cannot_be_used_is_not_printed(protocol: str, tmp_path: Path, proxy: str) -> None:
    tap = Tap(protocol, {"api_key": KEY, "endpoint": "https://127.0.0.1:9", "max_retries": 0}, tmp_path)
    run = tap.run(*tap.read_arguments(), environment={"https_proxy": proxy})
    assert run.code == 2
    assert "https_proxy is not the URL of a proxy" in run.log
    assert "4711" not in run.log
    assert "user" not in run.log
    assert_safe(run)


def test_missing_certificates_are_named(protocol: str, tmp_path: Path) -> None:
    tap = Tap(protocol, {"api_key": KEY, "endpoint": "https://127.0.0.1:9", "max_retries": 0}, tmp_path)
    config = tap.file("config", tap.config)
    check = ("check",) if protocol == AIRBYTE else ("--test",)
    run = tap.run(*check, "--config", config, environment={"REQUESTS_CA_BUNDLE": "/missing/bundle.pem"})
    assert "/missing/bundle.pem in REQUESTS_CA_BUNDLE does not exist" in run.stdout.decode() + run.stderr
    if protocol == AIRBYTE:
        (status,) = run.of_type("CONNECTION_STATUS")
        assert status["connectionStatus"]["status"] == "FAILED"
        assert run.code == 0
    else:
        assert run.code == 1
    assert_safe(run)


# Memory


@cache
def bomb(shape: str, key: str) -> bytes:
    """A page whose records take much memory, compressed."""
    start, end = b'{"' + key.encode() + b'":[', b'],"pagination_meta":{}}'
    if shape == "empty objects":
        content = start + b"{}," * (42 * MB) + b"{}" + end
    elif shape == "small records":
        content = start + b'{"id":"1"},' * (3 * MB // 11) + b'{"id":"1"}' + end
    elif shape == "lists in a record":
        content = start + b'{"id":"1","x":[' + b"[]," * (MB // 2) + b"[]]}" + end
    elif shape == "a long text":
        content = start + b'{"id":"1","x":"' + "\U0001f600".encode() * (5 * MB) + b'"}' + end
    else:
        content = start + b'{"id":"1",' + b",".join(b'"k%d":1' % number for number in range(400_000)) + b"}" + end
    return answer(content=gzip.compress(content, 1), headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "shape", ["empty objects", "small records", "lists in a record", "a long text", "many undeclared fields"]
)
@pytest.mark.parametrize("protocol", [AIRBYTE])
@pytest.mark.timeout(180)
def test_ten_hostile_pages_at_once_stay_within_the_memory_bound(tap: MakeTap, catalog: Catalog, shape: str) -> None:
    keys = {declarations()[name].endpoint: declarations()[name].records_key for name in LISTS}
    for key in keys.values():
        bomb(shape, str(key))
    with ScriptedServer(default=lambda path: bomb(shape, str(keys[path_of(path)]))) as server:
        started = tap(server)
        arguments = started.read_arguments(catalog.of(AIRBYTE, LISTS, full=LISTS))
        run, peak = run_with_peak_memory(started, *arguments, seconds=SECONDS)
    assert len({path_of(line.split()[1]) for line in server.lines()}) == len(LISTS)
    assert run.code == (1 if shape == "empty objects" else 0), run.log[-500:]
    print(f"peak {peak} MB")
    assert peak < MAX_PEAK


@pytest.mark.parametrize("protocol", [SINGER])
@pytest.mark.timeout(180)
def test_nested_records_of_one_page_stay_within_the_memory_bound(tap: MakeTap, catalog: Catalog) -> None:
    """Ten incidents. The attachments of each take almost as much memory as a page may."""
    incidents = [
        {"id": f"i{number}", "mode": "standard", "incident_status": {"category": "live"}} for number in range(10)
    ]
    big = bomb("lists in a record", "incident_attachments")

    def serve(path: str) -> bytes:
        if path_of(path) == "/v2/incidents":
            return page("incidents", *incidents)
        if path_of(path) == "/v1/incident_attachments":
            return big
        return page(str(path_of(path).rpartition("/")[2]))

    with ScriptedServer(default=serve) as server:
        started = tap(server)
        arguments = started.read_arguments(catalog.of(SINGER, ["incidents"], full=["incidents"]))
        run, peak = run_with_peak_memory(started, *arguments, seconds=SECONDS)
    print(f"peak {peak} MB")
    assert peak < MAX_PEAK
    assert run.code == 1
    assert "would take more than 128 MB of memory" in run.log
    assert_safe(run)


@pytest.mark.parametrize("status", [404, 500])
@pytest.mark.parametrize("protocol", [AIRBYTE])
@pytest.mark.timeout(180)
def test_a_large_error_body_is_not_read(tap: MakeTap, catalog: Catalog, status: int) -> None:
    content = gzip.compress(b'{"type":"' + b"x" * (126 * MB) + b'"}', 1)
    big = answer(content=content, status=status, headers={"Content-Encoding": "gzip"})
    with ScriptedServer(default=lambda path: big) as server:
        started = tap(server)
        run, peak = run_with_peak_memory(
            started, *started.read_arguments(catalog.of(AIRBYTE, LISTS, full=LISTS)), seconds=SECONDS
        )
    assert run.code == 1
    assert peak < MAX_PEAK / 2
    assert str(status) in run.log


# Texts


@pytest.mark.parametrize("after", [KEY, KEY.upper(), f"x{KEY}x", "a" * 70 + KEY])
def test_a_cursor_that_holds_the_key_is_rejected(tap: MakeTap, catalog: Catalog, protocol: str, after: str) -> None:
    with ScriptedServer(default=lambda path: page("alerts", {"id": "1"}, after=after)) as server:
        started = tap(server)
        run = started.read(catalog.of(protocol, ["alerts"], full=["alerts"]))
    assert run.code == 1
    assert "the cursor in the answer holds the API key" in run.log
    assert len(server.requests) == 1
    assert_safe(run)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_control_characters_of_errors_are_escaped(tap: MakeTap, catalog: Catalog, protocol: str, status: int) -> None:
    error = {"code": HARMFUL, "message": f"no {HARMFUL}", "metadata": {"scope": HARMFUL}}
    body = {"type": "error", "status": status, "request_id": HARMFUL, "errors": [error]}
    with ScriptedServer(default=lambda path: answer(body, status, {"Retry-After": "0"})) as server:
        started = tap(server)
        read = started.read_arguments(catalog.of(protocol, ["alerts"], full=["alerts"]))
        if status == 429:
            # It is retried for half an hour.
            process = started.start(*read)
            output = b""
            if protocol == AIRBYTE:
                output = started.read_lines(process, lambda output: b"retry: " in output)
            else:
                ends_at = time.monotonic() + SECONDS / 2
                while not server.requests and time.monotonic() < ends_at:
                    time.sleep(0.1)
                time.sleep(1)
            process.send_signal(signal.SIGTERM)
            run = started.wait(process, output)
        else:
            run = started.run(*read)
    assert "forged" in run.log
    assert "\\x1b" in run.log
    assert_safe(run)


def test_control_characters_of_field_names_and_cursors_are_escaped(
    tap: MakeTap, catalog: Catalog, protocol: str
) -> None:
    record = {"id": "1", f"{HARMFUL}_token": "x", "description": {HARMFUL: 1}, "rank": HARMFUL}
    selected = catalog.of(protocol, ["severities", "alerts"], full=["alerts"])

    def serve(path: str) -> bytes:
        if path_of(path) == "/v1/severities":
            return page("severities", record)
        return page("alerts", {"id": "1"}, after=HARMFUL)

    with ScriptedServer(default=serve) as server:
        run = tap(server).read(selected)
    assert run.code == 1
    assert "is withheld" in run.log
    assert "returns the same page again" in run.log
    logs = run.stderr if protocol == SINGER else run.log
    assert "\\x1b" in logs
    assert not re.search(r"[^\x20-\x7e\n]", logs)
    assert not re.search("^FATAL forged", logs, re.MULTILINE)


# The endpoint


def test_another_endpoint_is_named(tap: MakeTap, catalog: Catalog, protocol: str) -> None:
    with ScriptedServer(default=lambda path: page(str(path_of(path).rpartition("/")[2]))) as server:
        started = tap(server)
        host = server.url.removeprefix("http://")
        notice = f"The API key is sent to {host} (the setting endpoint), not to api.incident.io"
        for run in (started.command("check"), started.read(catalog.of(protocol, ["severities"]))):
            assert len(run.log_lines(notice)) == 1


# Shapes


def test_a_record_that_is_too_deep_fails_its_stream_only(tap: MakeTap, catalog: Catalog, protocol: str) -> None:
    deep = b'{"severities":[{"id":"1","x":' + b"[" * 260 + b"]" * 260 + b"}]}"

    def serve(path: str) -> bytes:
        if path_of(path) == "/v1/severities":
            return answer(content=deep)
        return page("incident_types", {"id": "1", "name": "one"})

    with ScriptedServer(default=serve) as server:
        run = tap(server).read(catalog.of(protocol, ["severities", "incident_types"]))
    assert run.code == 1
    assert run.records["incident_types"]
    assert not run.records["severities"]
    assert "nested more than 200 levels deep" in run.log
    assert_safe(run)


@pytest.mark.parametrize("levels", [220, 260, 5_000, 100_000])
@pytest.mark.parametrize("what", ["catalog", "state"])
def test_a_file_that_is_too_deep_is_rejected(protocol: str, tmp_path: Path, levels: int, what: str) -> None:
    file = tmp_path / "deep.json"
    file.write_text('{"streams":' + "[" * levels + "]" * levels + "}")
    tap = Tap(protocol, {"api_key": KEY, "endpoint": "http://127.0.0.1:9"}, tmp_path)
    run = tap.run(*tap.read_arguments(), f"--{what}", str(file))
    assert run.code == 2
    assert f"{what} {file}" in run.log
    assert_safe(run)


@pytest.mark.parametrize("key", ["a,", "standard,", ","])
def test_a_state_with_a_huge_key_ends_soon(catalog: Catalog, protocol: str, tmp_path: Path, key: str) -> None:
    position = {"updated_at": "2026-01-01T00:00:00Z"}
    modes = {"modes": {key * (4 * MB // len(key)): position}}
    state: Any = {"bookmarks": {"incidents": modes}}
    if protocol == AIRBYTE:
        stream = {"stream_descriptor": {"name": "incidents"}, "stream_state": modes}
        state = [{"type": "STREAM", "stream": stream}]
    tap = Tap(protocol, {"api_key": KEY, "endpoint": "http://127.0.0.1:9"}, tmp_path)
    started_at = sum(os.times()[2:4])
    run = tap.read(catalog.of(protocol, ["incidents"]), state)
    assert sum(os.times()[2:4]) - started_at < 20, "seconds of processor time"
    assert run.code == 2
    # Each comma counts as an element of the document.
    problem = "would take more than 256 MB" if key == "," else "the names in modes have more than 1000 characters"
    assert problem in run.log
    assert len(run.log) < 10_000
    assert_safe(run)


@pytest.mark.parametrize("seconds", [0.2, 1, 2, 3])
def test_sigterm_ends_a_sync_with_a_huge_state(catalog: Catalog, protocol: str, tmp_path: Path, seconds: float) -> None:
    """At whatever point of its start the signal arrives."""
    position = {"updated_at": "2026-01-01T00:00:00Z"}
    stream_state = {"modes": {f"m{number}": position for number in range(40_000)}}
    state: Any = {"bookmarks": {"incidents": stream_state}}
    if protocol == AIRBYTE:
        stream = {"stream_descriptor": {"name": "incidents"}, "stream_state": stream_state}
        state = [{"type": "STREAM", "stream": stream}]
    tap = Tap(protocol, {"api_key": KEY, "endpoint": "http://127.0.0.1:9"}, tmp_path)
    process = tap.start(*tap.read_arguments(catalog.of(protocol, ["incidents"]), state))
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    sent_at = time.monotonic()
    stdout, stderr = process.communicate(timeout=SECONDS)
    assert time.monotonic() - sent_at < 10
    # Before the program handles signals, while it runs, or once it has rejected the state
    assert process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM, 2)
    assert b"RECORD" not in stdout
    assert b"Traceback" not in stderr


@pytest.mark.parametrize("id_", [".", ".."])
def test_an_id_that_would_leave_its_path_is_not_requested(
    tap: MakeTap, catalog: Catalog, protocol: str, id_: str
) -> None:
    def serve(path: str) -> bytes:
        return page("postmortem_documents", {"id": id_, "updated_at": "2026-01-01T00:00:00Z"})

    with ScriptedServer(default=serve) as server:
        run = tap(server).read(catalog.of(protocol, ["postmortem_document_contents"]))
    assert run.code == 1
    assert all(line.startswith("GET /v1/postmortem_documents?") for line in server.lines())
    assert_safe(run)


def test_an_id_with_slashes_stays_one_part_of_the_path(tap: MakeTap, catalog: Catalog, protocol: str) -> None:
    def serve(path: str) -> bytes:
        return page("postmortem_documents", {"id": "../../v2/users?x=#", "updated_at": "2026-01-01T00:00:00Z"})

    with ScriptedServer(default=serve) as server:
        tap(server).read(catalog.of(protocol, ["postmortem_document_contents"]))
    requested = {line.split()[1].partition("?")[0] for line in server.lines()}
    assert requested == {
        "/v1/postmortem_documents",
        "/v1/postmortem_documents/..%2F..%2Fv2%2Fusers%3Fx%3D%23/content",
    }
