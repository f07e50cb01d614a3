"""The key goes to the configured host and nowhere else, into no output either."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from integration_tests.conftest import KEY, MakeTap
from integration_tests.faults.conftest import Reliability
from integration_tests.faults.runs import Listener, clean
from integration_tests.support.account import Account
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, Catalog, Destination
from sandbox import Sandbox

PATH = "/behind/incident"


def test_a_server_that_repeats_the_key(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Reliability
) -> None:
    """Errors of every kind, passing or not, repeat the Authorization header in their bodies and headers, and the run
    logs with `--debug`:"""
    faults = [
        f"echo:code={code},path={path}"
        for code, path in ((400, "/v2/alerts"), (403, "/v2/escalations"), (404, "/v2/users"), (500, "/v1/severities"))
    ]
    sandbox = new_sandbox(fault=faults)
    tap = tap_of(sandbox, max_retries=1)
    names = ("alerts", "escalations", "users", "severities", "incident_types")
    run = tap.run(*tap.read_arguments(catalog.of(protocol, names)), "--debug")
    assert run.code == 1
    assert run.log.count("Rejected: Bearer ****") >= 3
    assert run.records["incident_types"]
    for text in (run.stdout.decode(), run.stderr):
        assert KEY[:12] not in text
    sandbox.config(fault=["echo:code=401"])
    denied = tap.run(*tap.read_arguments(catalog.of(protocol, names)), "--debug")
    assert denied.code == 1
    for text in (denied.stdout.decode(), denied.stderr):
        assert KEY[:12] not in text
    reliability(f"echoed, {protocol}", "`****` stands wherever the key did, in log, traces, records and state")


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_a_redirect_of_the_check(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, other: Listener, reliability: Reliability
) -> None:
    """The first request of all is redirected to another host:"""
    sandbox = new_sandbox(fault=[f"redirect:to={other.url}/v1/identity,code=308"])
    run = tap_of(sandbox).command("check")
    clean(run)
    (status,) = run.of_type("CONNECTION_STATUS")
    assert status["connectionStatus"]["status"] == "FAILED"
    assert other.visits == 0
    reliability("a redirect to 127.0.0.2", "nobody came to 127.0.0.2; the check fails and says where it was sent")


def test_http_to_another_machine_is_refused(
    shared_sandbox: Sandbox, tap_of: MakeTap, protocol: str, reliability: Reliability
) -> None:
    """`endpoint` is http, and no loopback address:"""
    run = tap_of(shared_sandbox, endpoint="http://192.0.2.1").read()
    assert run.code == 2
    assert "endpoint must be https, the key would cross the network in the clear to 192.0.2.1" in run.log
    assert run.stderr.count("\n") == 1
    assert {message["type"] for message in run.messages} <= {"LOG", "TRACE"}
    reliability(f"http://192.0.2.1, {protocol}", "refused in one line before any request; exit 2")


@pytest.fixture
def proxy(shared_sandbox: Sandbox) -> Iterator[str]:
    """The URL of a proxy in front of the API, with a path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith(PATH):
                self.send_error(404)
                return
            key = {"Authorization": self.headers["Authorization"]}
            answer = requests.get(shared_sandbox.url + self.path.removeprefix(PATH), headers=key, timeout=30)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PATH}/"
        server.shutdown()


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_a_path_in_the_endpoint(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, proxy: str, reliability: Reliability
) -> None:
    """`endpoint` has a path, as a proxy in front of the API may:"""
    names = ("alerts", "severities", "custom_field_options")
    run = tap_of(shared_sandbox, endpoint=proxy).read(catalog.of(AIRBYTE, names)).ok()
    clean(run)
    destination = Destination(catalog.keys)
    destination.load(run)
    assert not list(differences(destination, Account(shared_sandbox).of(names)))
    reliability("http://127.0.0.1/behind/incident/", "every request goes below the path; every record came; exit 0")
