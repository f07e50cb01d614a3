"""--init: the dialogue, the config file and the errors. integration_tests/sync/test_init.py runs it at a terminal."""

import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from source_incident.api import ApiError
from source_incident.errors import InputError
from source_incident.init import init
from unit_tests.api.server import FORBIDDEN, NOT_FOUND, ScriptedServer, answer

KEY = "inc_5ecret_key_0123456789"


def account(path: str) -> bytes:
    """Answers for a key without the scope for workflows. Incidents have a total, alerts have more than one page."""
    name = path.partition("?")[0].rpartition("/")[2]
    if name == "identity":
        return answer({"identity": {"name": "Warehouse"}})
    if name == "workflows":
        error = {"code": "missing_required_scope", "message": "no", "metadata": {"scope": "workflows.view"}}
        return answer({**FORBIDDEN, "errors": [error]}, 403)
    if name == "incidents":
        return answer({name: [{"id": "i1"}], "pagination_meta": {"after": "i1", "total_record_count": 1234}})
    if name == "alerts":
        return answer({name: [{"id": "a1"}, {"id": "a2"}], "pagination_meta": {"after": "a2"}})
    if name == "severities":
        return answer({name: [{"id": "s1"}]})
    if name == "users":
        return answer({name: [], "pagination_meta": {}})
    return answer(NOT_FOUND, 404)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(default=account) as started:
        yield started


class Terminal:
    """A user at the terminal, who types the `keys` and `answers`.

    Attributes:
        shown: what the program showed.
        secrets: what it registered for redaction.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: list[str] = []
        self.answers: list[str] = []
        self.shown: list[str] = []
        self.secrets: list[str] = []
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr("getpass.getpass", self._key)
        monkeypatch.setattr("builtins.input", self._answer)

    def _key(self, prompt: str) -> str:
        self.shown.append(prompt)
        if not self.keys:
            raise EOFError
        return self.keys.pop(0)

    def _answer(self, prompt: str) -> str:
        self.shown.append(prompt)
        return self.answers.pop(0)

    def init(self, path: Path, **given: Any) -> str:
        """Run the dialogue, and return all that was shown."""
        init(str(path), {"max_retries": 0, **given}, self.shown.append, self.secrets.append)
        return "\n".join(self.shown)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(monkeypatch)


def test_shows_what_the_key_can_read_and_writes_it_to_a_private_file(
    terminal: Terminal, server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "my config.json"
    terminal.keys = [f" {KEY} "]
    shown = terminal.init(path, endpoint=server.url)
    assert "The key 'Warehouse' works" in shown
    assert [line.split(maxsplit=1) for line in shown.splitlines() if line.startswith("  ") and "tap" not in line] == [
        ["incidents", "1,234"],
        ["severities", "1"],
        ["alerts", "2 or more"],
        ["workflows", "workflows.view"],
    ]
    assert "These are empty: users." in shown
    assert f"tap-incident --config '{path}' --discover > catalog.json" in shown
    assert json.loads(path.read_text()) == {"api_key": KEY, "endpoint": server.url}, (
        "the endpoint that accepted the key"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert terminal.secrets == [KEY]
    assert sum("/v2/incidents?" in line for line in server.lines()) == 1, "one request for each list"


def test_asks_again_after_a_wrong_key(terminal: Terminal, server: ScriptedServer, tmp_path: Path) -> None:
    server.add(answer({"errors": [{"message": "no such token"}]}, 401))
    terminal.keys = ["inc_wrong_key", "with a space", KEY]
    shown = terminal.init(tmp_path / "c.json", endpoint=server.url)
    assert "incident.io does not accept the API key: no such token" in shown
    assert "api_key has a space" in shown
    assert json.loads((tmp_path / "c.json").read_text())["api_key"] == KEY


def test_rejects_an_invalid_key_without_a_request(terminal: Terminal, server: ScriptedServer, tmp_path: Path) -> None:
    terminal.keys = ["", KEY]
    shown = terminal.init(tmp_path / "c.json", endpoint=server.url)
    assert "api_key is empty" in shown
    assert shown.count("Checking what the key can read") == 1


def test_ends_after_three_wrong_keys(terminal: Terminal, server: ScriptedServer, tmp_path: Path) -> None:
    terminal.keys = ["", "a b", "\n", KEY]
    with pytest.raises(InputError, match=r"no key was accepted in 3 tries, nothing was written\. Run --init again"):
        terminal.init(tmp_path / "c.json", endpoint=server.url)
    assert list(tmp_path.iterdir()) == []
    assert server.requests == []


def test_keeps_the_other_settings_of_an_existing_file(
    terminal: Terminal, server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"api_key": "old", "endpoint": server.url, "start_date": "2025-01-01", "team": "ü"}))
    path.chmod(0o644)
    (tmp_path / "link.json").symlink_to(path)
    terminal.keys, terminal.answers = [KEY], ["y"]
    shown = terminal.init(tmp_path / "link.json", endpoint="http://127.0.0.1:1")
    assert "link.json exists. Replace the key in it" in shown
    assert json.loads(path.read_text()) == {
        "api_key": KEY,
        "endpoint": server.url,
        "start_date": "2025-01-01",
        "team": "ü",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "link.json").is_symlink()


@pytest.mark.parametrize("reply", ["Y", " yes", "YES"])
def test_accepts_a_yes_in_other_forms(terminal: Terminal, server: ScriptedServer, tmp_path: Path, reply: str) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"api_key": "old"}')
    terminal.keys, terminal.answers = [KEY], [reply]
    terminal.init(path, endpoint=server.url)
    assert json.loads(path.read_text())["api_key"] == KEY


@pytest.mark.parametrize("reply", ["", "n", "no", "yes please"])
def test_does_not_change_an_existing_file_without_a_yes(terminal: Terminal, tmp_path: Path, reply: str) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"api_key": "old"}')
    terminal.answers = [reply]
    with pytest.raises(InputError, match=r"was not changed\. Name another file with --config"):
        terminal.init(path)
    assert path.read_text() == '{"api_key": "old"}'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing/c.json", "no file can be written in .*missing. Name another one with --config"),
        (".", "can't be read: Is a directory"),
        ("text.json", "is not JSON"),
    ],
)
def test_reports_an_unusable_file_before_any_question(terminal: Terminal, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "text.json").write_text("no JSON")
    with pytest.raises(InputError, match=text):
        terminal.init(tmp_path / name)
    assert terminal.shown == []


def test_reports_unusable_settings_before_it_asks_for_the_key(terminal: Terminal, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="endpoint must be a URL"):
        terminal.init(tmp_path / "c.json", endpoint="nowhere")
    assert terminal.shown == []


def test_ends_if_the_api_does_not_answer(terminal: Terminal, tmp_path: Path) -> None:
    terminal.keys = [KEY, KEY]
    with pytest.raises(
        ApiError, match=r"127\.0\.0\.1:1 does not answer: .* Check the network and the setting endpoint"
    ):
        terminal.init(tmp_path / "c.json", endpoint="http://127.0.0.1:1")
    assert terminal.keys == [KEY]
    assert list(tmp_path.iterdir()) == []


def test_writes_nothing_at_the_end_of_the_input(terminal: Terminal, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing was written\. Run it again when you have one"):
        terminal.init(tmp_path / "c.json")
    assert list(tmp_path.iterdir()) == []


def test_reports_the_alternatives_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    show: Callable[[str], None] = pytest.fail
    with pytest.raises(InputError, match=r"and needs a terminal\. Without one, set INCIDENT_API_KEY"):
        init(str(tmp_path / "c.json"), {}, show, show)
