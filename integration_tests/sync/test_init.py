"""--init at a terminal."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration_tests.support.sandboxes import KEY, StartSandbox
from integration_tests.support.tap import PROGRAM, ROOT, SINGER, Tap
from integration_tests.support.terminal import Terminal
from sandbox import Sandbox

CTRL_C, CTRL_D = "\x03", "\x04"
StartTerminal = Callable[..., Terminal]


@pytest.fixture
def at_terminal(tmp_path: Path) -> Iterator[StartTerminal]:
    """Start the program with --init at a terminal, in the test's directory."""
    started: list[Terminal] = []

    def start(sandbox: Sandbox, *arguments: str) -> Terminal:
        environment = {"INCIDENT_ENDPOINT": sandbox.url, "PYTHONPATH": str(ROOT)}
        started.append(Terminal(*PROGRAM, "--init", *arguments, directory=tmp_path, **environment))
        return started[-1]

    yield start
    for terminal in started:
        terminal.kill()


def test_asks_for_a_key_until_it_is_valid_and_writes_a_config_that_works(
    new_sandbox: StartSandbox, at_terminal: StartTerminal, tmp_path: Path
) -> None:
    sandbox = new_sandbox(forbid=["workflows.view"])
    terminal = at_terminal(sandbox)
    terminal.until("it is not shown")
    terminal.type("not-the-key\n")
    terminal.until("incident.io does not accept the API key")
    terminal.until("it is not shown")
    terminal.type(f"{KEY}\n")
    assert terminal.end() == 0
    assert KEY not in terminal.shown
    assert "not-the-key" not in terminal.shown
    assert "workflows.view" in terminal.shown
    host = sandbox.url.removeprefix("http://")
    assert f"The API key is sent to {host} (the setting endpoint)" in " ".join(terminal.shown.split())
    assert f"severities {sandbox.snapshot('severities')['count']}" in " ".join(terminal.shown.split())
    config = tmp_path / "config.json"
    assert json.loads(config.read_text()) == {"endpoint": sandbox.url, "api_key": KEY}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert "tap-incident --config config.json --discover > catalog.json" in terminal.shown
    tap = Tap(SINGER, {}, tmp_path)
    run = tap.run("--test", "--config", str(config))
    assert "The key works" in run.ok().stderr


@pytest.mark.parametrize(
    ("typed", "code"),
    [(CTRL_C, 130), (CTRL_D, 2)],
    ids=["ctrl-c", "ctrl-d"],
)
def test_can_be_left_without_a_key(
    shared_sandbox: Sandbox, at_terminal: StartTerminal, tmp_path: Path, typed: str, code: int
) -> None:
    terminal = at_terminal(shared_sandbox, "--config", "mine.json")
    terminal.until("it is not shown")
    terminal.type(typed)
    assert terminal.end() == code
    assert "othing was written" in terminal.shown
    assert "Traceback" not in terminal.shown
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_requests(new_sandbox: StartSandbox, at_terminal: StartTerminal, tmp_path: Path) -> None:
    terminal = at_terminal(new_sandbox(latency=30_000))
    terminal.until("it is not shown")
    terminal.type(f"{KEY}\n")
    terminal.until("can read")
    time.sleep(0.5)
    terminal.type(CTRL_C)
    typed_at = time.monotonic()
    assert terminal.end() == 130
    assert time.monotonic() - typed_at < 10
    assert "Traceback" not in terminal.shown
    assert list(tmp_path.iterdir()) == []


def test_reports_a_missing_terminal_in_one_line(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    run = Tap(SINGER, {}, tmp_path).run("--init", "--config", str(tmp_path / "c.json"))
    assert run.code == 2
    assert run.stderr.startswith("tap-incident: ")
    assert "--init" in run.stderr
    assert "terminal" in run.stderr
    assert run.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
