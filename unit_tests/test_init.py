"""--init: what it asks, shows and writes, when it refuses. At a terminal: integration_tests/sync/test_init.py."""

import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from source_incident.api import ApiError
from source_incident.config import ConfigError
from source_incident.init import init
from unit_tests.api.server import ScriptedServer, answer

KEY = "inc_5ecret_key_0123456789"


def account(path: str) -> bytes:
    """A key without the scope for workflows, incidents of which the API tells a total, and more alerts than a page."""
    name = path.partition("?")[0].rpartition("/")[2]
    if name == "identity":
        return answer({"identity": {"name": "Warehouse"}})
    if name == "workflows":
        error = {"code": "missing_required_scope", "message": "no", "metadata": {"scope": "workflows.view"}}
        return answer({"errors": [error]}, 403)
    if name == "incidents":
        return answer({name: [{"id": "i1"}], "pagination_meta": {"after": "i1", "total_record_count": 1234}})
    if name == "alerts":
        return answer({name: [{"id": "a1"}, {"id": "a2"}], "pagination_meta": {"after": "a2"}})
    if name == "severities":
        return answer({name: [{"id": "s1"}]})
    if name == "users":
        return answer({name: [], "pagination_meta": {}})
    return answer({}, 404)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(default=account) as started:
        yield started


class Terminal:
    """Whoever sits at the terminal: types what is in `keys` and `answers`, and sees what is in `said`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: list[str] = []
        self.answers: list[str] = []
        self.said: list[str] = []
        self.hidden: list[str] = []
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr("getpass.getpass", self._key)
        monkeypatch.setattr("builtins.input", self._answer)

    def _key(self, prompt: str) -> str:
        self.said.append(prompt)
        if not self.keys:
            raise EOFError
        return self.keys.pop(0)

    def _answer(self, prompt: str) -> str:
        self.said.append(prompt)
        return self.answers.pop(0)

    def init(self, path: Path, **given: Any) -> str:
        """Holds the dialogue; all that was said in it."""
        init(str(path), {"max_retries": 0, **given}, self.said.append, self.hidden.append)
        return "\n".join(self.said)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(monkeypatch)


def test_it_shows_what_there_is_and_writes_the_key_for_its_owner_alone(
    terminal: Terminal, server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "my config.json"
    terminal.keys = [f" {KEY} "]
    said = terminal.init(path, endpoint=server.url)
    assert "The key 'Warehouse' works" in said
    assert [line.split(maxsplit=1) for line in said.splitlines() if line.startswith("  ") and "tap" not in line] == [
        ["incidents", "1,234"],
        ["severities", "1"],
        ["alerts", "2 or more"],
        ["workflows", "workflows.view"],
    ]
    assert "These are empty: users." in said
    assert f"tap-incident --config '{path}' --discover > catalog.json" in said
    assert json.loads(path.read_text()) == {"api_key": KEY, "endpoint": server.url}, "where it was accepted"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert terminal.hidden == [KEY]
    assert sum("/v2/incidents?" in line for line in server.lines()) == 1, "a large list is asked once"


def test_a_wrong_key_is_asked_for_again(terminal: Terminal, server: ScriptedServer, tmp_path: Path) -> None:
    server.add(answer({"errors": [{"message": "no such token"}]}, 401))
    terminal.keys = ["inc_wrong_key", "with a space", KEY]
    said = terminal.init(tmp_path / "c.json", endpoint=server.url)
    assert "incident.io does not accept the API key: no such token" in said
    assert "api_key holds a space" in said
    assert json.loads((tmp_path / "c.json").read_text())["api_key"] == KEY


def test_a_key_that_is_none_is_told_before_anything_is_asked(
    terminal: Terminal, server: ScriptedServer, tmp_path: Path
) -> None:
    terminal.keys = ["", KEY]
    said = terminal.init(tmp_path / "c.json", endpoint=server.url)
    assert "api_key is empty" in said
    assert said.count("Asking what it can read") == 1


def test_three_wrong_keys_are_the_end(terminal: Terminal, server: ScriptedServer, tmp_path: Path) -> None:
    terminal.keys = ["", "a b", "\n", KEY]
    with pytest.raises(ConfigError, match=r"no key was accepted in 3 tries, nothing was written\. Run --init again"):
        terminal.init(tmp_path / "c.json", endpoint=server.url)
    assert list(tmp_path.iterdir()) == []
    assert server.requests == []


def test_a_file_that_is_there_keeps_its_other_settings(
    terminal: Terminal, server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"api_key": "old", "endpoint": server.url, "start_date": "2025-01-01", "team": "ü"}))
    path.chmod(0o644)
    (tmp_path / "link.json").symlink_to(path)
    terminal.keys, terminal.answers = [KEY], ["y"]
    said = terminal.init(tmp_path / "link.json", endpoint="http://127.0.0.1:1")
    assert "link.json is there already. Replace the key in it" in said
    assert json.loads(path.read_text()) == {
        "api_key": KEY,
        "endpoint": server.url,
        "start_date": "2025-01-01",
        "team": "ü",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "link.json").is_symlink()


@pytest.mark.parametrize("said", ["Y", " yes", "YES"])
def test_a_yes_may_be_written_out(terminal: Terminal, server: ScriptedServer, tmp_path: Path, said: str) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"api_key": "old"}')
    terminal.keys, terminal.answers = [KEY], [said]
    terminal.init(path, endpoint=server.url)
    assert json.loads(path.read_text())["api_key"] == KEY


@pytest.mark.parametrize("said", ["", "n", "no", "yes please"])
def test_a_file_that_is_there_is_left_alone_unless_told_otherwise(
    terminal: Terminal, tmp_path: Path, said: str
) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"api_key": "old"}')
    terminal.answers = [said]
    with pytest.raises(ConfigError, match=r"left as it is\. Name another file with --config"):
        terminal.init(path)
    assert path.read_text() == '{"api_key": "old"}'


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing/c.json", "no file can be written in .*missing. Name another one with --config"),
        (".", "can't be read: Is a directory"),
        ("text.json", "is not JSON"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_anything_is_asked(
    terminal: Terminal, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "text.json").write_text("no JSON")
    with pytest.raises(ConfigError, match=said):
        terminal.init(tmp_path / name)
    assert terminal.said == []


def test_settings_that_cannot_be_used_are_told_before_the_key_is_asked_for(terminal: Terminal, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="endpoint must be a URL"):
        terminal.init(tmp_path / "c.json", endpoint="nowhere")
    assert terminal.said == []


def test_an_api_that_does_not_answer_ends_it(terminal: Terminal, tmp_path: Path) -> None:
    terminal.keys = [KEY, KEY]
    with pytest.raises(
        ApiError, match=r"127\.0\.0\.1:1 does not answer: .* Check the network and the setting endpoint"
    ):
        terminal.init(tmp_path / "c.json", endpoint="http://127.0.0.1:1")
    assert terminal.keys == [KEY]
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_the_input_writes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing was written\. Run it again when you have one"):
        terminal.init(tmp_path / "c.json")
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_it_says_what_to_do_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    said: Callable[[str], None] = pytest.fail
    with pytest.raises(ConfigError, match=r"it needs a terminal\. Without one, set INCIDENT_API_KEY"):
        init(str(tmp_path / "c.json"), {}, said, said)
