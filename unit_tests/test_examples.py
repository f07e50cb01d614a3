"""What examples/ promises: the script keeps a state whatever happens, the files fit the program."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from source_incident.config import Config

EXAMPLES = Path(__file__).parent.parent / "examples"
Sync = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture
def sync(tmp_path: Path) -> Sync:
    """Runs sync.sh with shell scripts in the tap's and the target's place."""

    def run(tap: str, target: str) -> subprocess.CompletedProcess[str]:
        for name, script in (("tap-incident", tap), ("target", target)):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        return subprocess.run(
            [EXAMPLES / "sync.sh", tmp_path / "state.json", "target", "--config", "target.json"],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_first_sync_begins_with_an_empty_state(sync: Sync, tmp_path: Path) -> None:
    ran = sync(f'cat "$4" > {tmp_path}/given; echo "$@" >&2', "cat")
    assert ran.returncode == 0
    assert (tmp_path / "given").read_text() == "{}\n"
    assert ran.stderr == f"--config ENV --state {tmp_path}/state.json\n"


def test_the_last_state_that_the_target_printed_is_kept(sync: Sync, tmp_path: Path) -> None:
    sync("echo 1; echo 2", "cat")
    assert (tmp_path / "state.json").read_text() == "2\n"


def test_a_target_that_prints_nothing_leaves_the_state(sync: Sync, tmp_path: Path) -> None:
    sync("echo 1", "cat")
    assert sync("exit 0", "cat").returncode == 0
    assert (tmp_path / "state.json").read_text() == "1\n"


@pytest.mark.parametrize(
    ("tap", "target"),
    [("echo 1; exit 3", "cat"), ("echo 1", "cat; exit 4")],
    ids=["the tap fails", "the target fails"],
)
def test_a_failed_sync_fails_and_keeps_what_was_stored(sync: Sync, tmp_path: Path, tap: str, target: str) -> None:
    assert sync(tap, target).returncode in (3, 4)
    assert (tmp_path / "state.json").read_text() == "1\n"


def test_no_temporary_file_is_left(sync: Sync, tmp_path: Path) -> None:
    sync("echo 1", "cat")
    assert {file.name for file in tmp_path.iterdir()} == {"state.json", "tap-incident", "target"}


def test_the_config_is_one_that_the_program_takes() -> None:
    config = json.loads((EXAMPLES / "config.json").read_text())
    Config.parse({**config, "api_key": "key"})


def test_meltanos_settings_are_those_of_about() -> None:
    project = yaml.safe_load((EXAMPLES.parent / "integration_tests" / "meltano" / "meltano.yml").read_text())
    [extractor] = project["plugins"]["extractors"]
    printed = subprocess.run(
        [sys.executable, "-m", "source_incident", "--about", "--format=json"], capture_output=True, check=True
    ).stdout
    about = json.loads(printed)
    told = about["settings"]["properties"]
    assert [setting["name"] for setting in extractor["settings"]] == list(told)
    for setting in extractor["settings"]:
        kind = setting.get("kind", "string").replace("date_iso8601", "string")
        assert told[setting["name"]]["type"] == kind
        assert told[setting["name"]].get("secret", False) == setting.get("sensitive", False)
    assert extractor["settings_group_validation"] == [about["settings"]["required"]]
    assert set(extractor["capabilities"]) <= set(about["capabilities"])
