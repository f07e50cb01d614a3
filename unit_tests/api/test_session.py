"""The session: which requests get the key, and that no redirect is followed."""

from pathlib import Path

import pytest
import requests

from source_incident.api import RedirectError
from source_incident.api.session import BearerAuth, Session
from unit_tests.api.clients import KEY, Make, get_error
from unit_tests.api.server import ScriptedServer, answer


def test_adds_the_key_for_the_configured_origin_only() -> None:
    with ScriptedServer() as configured, ScriptedServer() as other:
        auth = BearerAuth(KEY, configured.url)
        session = Session(configured.url, "tap/1", 1)
        for server in (configured, other):
            session.get(f"{server.url}/v2/things", auth=auth, timeout=5).close()
        session.close()
    assert f"Authorization: Bearer {KEY}" in configured.requests[0]
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
def test_does_not_add_the_key_for_another_origin(url: str) -> None:
    prepared = requests.Request("GET", "https://api.incident.io/v1").prepare()
    prepared.url = url
    assert "Authorization" not in BearerAuth(KEY, "https://api.incident.io")(prepared).headers


def test_a_netrc_file_does_not_replace_the_key(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedServer() as server:
        make(server).get("/v2/things")
    assert f"Authorization: Bearer {KEY}" in server.requests[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_reports_a_redirect_and_does_not_follow_it(make: Make, status: int) -> None:
    with ScriptedServer() as target, ScriptedServer() as server:
        server.add(answer({"moved": True}, status, {"Location": f"{target.url}/v2/things"}))
        error = get_error(make(server), RedirectError)
    assert target.requests == []
    assert len(server.requests) == 1
    assert "redirects to 127.0.0.1" in error.message
    assert error.status == status


@pytest.mark.parametrize(
    "location",
    ["", "/v2/things", "http://[broken", "//", "http://host:port/", "javascript:x", f"https://{KEY}.example/", "\xff"],
)
def test_a_redirect_to_any_target_is_one_clear_error(make: Make, location: str) -> None:
    with ScriptedServer(answer(status=302, headers={"Location": location})) as server:
        error = get_error(make(server), RedirectError)
    assert len(server.requests) == 1
    assert "redirects" in error.message
    assert KEY.lower() not in error.message.lower()
