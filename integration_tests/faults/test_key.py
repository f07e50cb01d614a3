"""The API key is sent to the configured host only, and never printed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from integration_tests.faults.report import Report
from integration_tests.faults.runs import Listener, assert_clean_output
from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import KEY, StartSandbox
from integration_tests.support.tap import AIRBYTE, MakeTap
from sandbox import Sandbox

PATH = "/proxy/incident"


def test_redacts_a_key_that_the_server_returns(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, reliability: Report
) -> None:
    """Errors of every kind contain the Authorization header in their bodies and headers, and the run logs with
    `--debug`."""
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
    reliability(f"key returned, {protocol}", "the log, traces, records and state have `****` instead of the key")


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_check_follows_no_redirect(
    new_sandbox: StartSandbox, tap_of: MakeTap, other_host: Listener, reliability: Report
) -> None:
    """The first request is redirected to another host."""
    sandbox = new_sandbox(fault=[f"redirect:to={other_host.url}/v1/identity,code=308"])
    run = tap_of(sandbox).command("check")
    assert_clean_output(run)
    (status,) = run.of_type("CONNECTION_STATUS")
    assert status["connectionStatus"]["status"] == "FAILED"
    assert other_host.connections == 0
    reliability("a redirect to 127.0.0.2", "no connection to 127.0.0.2; the check fails and names that host")


def test_rejects_http_to_another_machine(
    shared_sandbox: Sandbox, tap_of: MakeTap, protocol: str, reliability: Report
) -> None:
    """`endpoint` is http and not a loopback address."""
    run = tap_of(shared_sandbox, endpoint="http://192.0.2.1").read()
    assert run.code == 2
    assert all(word in run.log for word in ("endpoint", "https", "192.0.2.1"))
    assert run.stderr.count("\n") == 1
    assert {message["type"] for message in run.messages} <= {"LOG", "TRACE"}
    reliability(f"http://192.0.2.1, {protocol}", "one line of error before any request; exit code 2")


@pytest.fixture
def proxy(shared_sandbox: Sandbox) -> Iterator[str]:
    """The URL of a proxy in front of the API. The URL has a path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith(PATH):
                self.send_error(404)
                return
            headers = {"Authorization": self.headers["Authorization"]}
            response = requests.get(shared_sandbox.url + self.path.removeprefix(PATH), headers=headers, timeout=30)
            self.send_response(response.status_code)
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PATH}/"
        server.shutdown()


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_accepts_an_endpoint_with_a_path(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, proxy: str, reliability: Report
) -> None:
    """`endpoint` has a path, for example that of a proxy in front of the API."""
    names = ("alerts", "severities", "custom_field_options")
    run = tap_of(shared_sandbox, endpoint=proxy).read(catalog.of(AIRBYTE, names)).ok()
    assert_clean_output(run)
    destination = Destination(catalog.keys)
    destination.load(run)
    assert not list(differences(destination, Account(shared_sandbox).of(names)))
    reliability("http://127.0.0.1/proxy/incident/", "every request has the path; every record is emitted; exit code 0")
