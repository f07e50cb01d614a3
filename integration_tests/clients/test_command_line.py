"""The commands in docs/cli.md work, in the order of the page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from integration_tests.support.sandboxes import KEY, StartSandbox
from integration_tests.support.tap import ROOT, SECONDS, clean_environment
from integration_tests.support.terminal import Terminal
from source_incident import cli

pytestmark = pytest.mark.clients

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
COMPLETIONS = re.findall(r"`(tap-incident --print-completion \w+ > [^`]*)`", PAGE)


def test_the_examples_work_one_after_the_other(new_sandbox: StartSandbox, tmp_path: Path) -> None:
    sandbox = new_sandbox(incidents=10, updates=20, actions=10, follow_ups=10, alerts=20, escalations=10)
    programs = f"{Path(sys.executable).parent}:{ROOT / '.venv-singer' / 'bin'}"
    environment = {
        **clean_environment(),
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "INCIDENT_ENDPOINT": sandbox.url,
    }
    first, *later = EXAMPLES
    terminal = Terminal(*first.split(), directory=tmp_path, **environment)
    try:
        terminal.until("it is not shown")
        terminal.type(f"{KEY}\n")
        assert terminal.end() == 0
    finally:
        terminal.kill()
    for directory in (".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"):
        (tmp_path / directory).mkdir(parents=True)
    for line in (*later, *COMPLETIONS):
        process = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert process.returncode == 0, f"{line}: {process.stderr}"
    assert len(later) == len(cli.EXAMPLES) - 1
    assert len(COMPLETIONS) == len(cli.SHELLS)
    assert len(json.loads((tmp_path / "catalog.json").read_text())["streams"]) > 70
    assert "alerts" in json.loads((tmp_path / "state.json").read_text())["bookmarks"]
    kinds = [json.loads(line)["type"] for line in (tmp_path / "messages.jsonl").read_text().splitlines()]
    assert kinds.count("RECORD") > 100
    assert list(tmp_path.glob("**/incidents*.jsonl")), "the target wrote the records"
    assert (tmp_path / ".config/fish/completions/tap-incident.fish").stat().st_size > 1000
