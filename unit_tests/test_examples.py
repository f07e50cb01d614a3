"""What examples/ promises: the script keeps a state whatever happens, the files fit the program."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from source_incident.config import Config

EXAMPLES = Path(__file__).parent.parent / "examples"
SECONDS = 15
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
KEPT = '{"bookmarks": {"alerts": 1}}\n'
Sync = Callable[[str, str], subprocess.CompletedProcess[str]]
Start = Callable[[str, str], "subprocess.Popen[str]"]


def hear_signals() -> None:
    """Where the tests run in the background, some signals are ignored, and would be by what they start."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts sync.sh with shell scripts in the tap's and the target's place."""
    started = []

    def start(tap: str, target: str) -> subprocess.Popen[str]:
        for name, script in (("tap-incident", tap), ("target", target)):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        process = subprocess.Popen(
            [EXAMPLES / "sync.sh", tmp_path / "state.json", "target", "--config", "target.json"],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            preexec_fn=hear_signals,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=SECONDS)


@pytest.fixture
def sync(start: Start) -> Sync:
    """Runs sync.sh until it and all that holds its output have ended."""

    def run(tap: str, target: str) -> subprocess.CompletedProcess[str]:
        process = start(tap, target)
        out, errors = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    return run


def wait_for(file: Path) -> None:
    for _ in range(SECONDS * 20):
        if file.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{file.name} is not there after {SECONDS} seconds")


def test_the_first_sync_begins_with_an_empty_state(sync: Sync, tmp_path: Path) -> None:
    ran = sync(f'cat "$4" > {tmp_path}/given; echo "$@" >&2', "cat")
    assert ran.returncode == 0
    assert (tmp_path / "given").read_text() == "{}\n"
    assert ran.stderr == f"--config ENV --state {tmp_path}/state.json\n"


def test_the_last_state_that_the_target_printed_is_kept(sync: Sync, tmp_path: Path) -> None:
    sync(f"echo '{{}}'; echo '{KEPT.strip()}'", "cat")
    assert (tmp_path / "state.json").read_text() == KEPT


@pytest.mark.parametrize(
    "last",
    [
        r"""printf '{"bookmarks": {"alerts": {"replication_k'""",
        "echo",
        r"printf '\n{}'",
        "echo 1",
        "echo null",
        "echo Bye",
    ],
    ids=["torn", "blank", "whole but for its end", "number", "null", "words"],
)
def test_a_line_that_is_no_state_does_not_replace_one(sync: Sync, tmp_path: Path, last: str) -> None:
    ended = sync(f"echo '{KEPT.strip()}'", f"cat; {last}; kill -KILL $$")
    assert ended.returncode == 128 + signal.SIGKILL
    assert (tmp_path / "state.json").read_text() == KEPT


def test_a_target_that_prints_nothing_leaves_the_state(sync: Sync, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(KEPT)
    assert sync("exit 0", "cat").returncode == 0
    assert (tmp_path / "state.json").read_text() == KEPT


@pytest.mark.parametrize(
    ("end_of_tap", "end_of_target", "code"),
    [("exit 3", "", 3), ("", "exit 4", 4)],
    ids=["the tap fails", "the target fails"],
)
def test_a_failed_sync_fails_and_keeps_what_was_stored(
    sync: Sync, tmp_path: Path, end_of_tap: str, end_of_target: str, code: int
) -> None:
    assert sync(f"echo '{KEPT.strip()}'; {end_of_tap}", f"cat; {end_of_target}").returncode == code
    assert (tmp_path / "state.json").read_text() == KEPT


def test_a_state_that_cannot_be_written_fails_the_sync_in_one_line(sync: Sync, tmp_path: Path) -> None:
    (tmp_path / "state.json.next").mkdir()
    ended = sync(f"echo '{KEPT.strip()}'", "cat")
    assert ended.returncode == 1
    assert ended.stderr == f"sync.sh: {tmp_path}/state.json: cannot be written: Is a directory\n"


def test_no_temporary_file_is_left(sync: Sync, tmp_path: Path) -> None:
    sync("echo '{}'", "cat")
    assert {file.name for file in tmp_path.iterdir()} == {"state.json", "state.json.lock", "tap-incident", "target"}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_tap_and_the_target_stores_what_it_got(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    end = f"end() {{ echo '{KEPT.strip()}'; kill $!; exit; }}; trap end {number.name[3:]}"
    tap = f"sleep 60 & {end}; touch {tmp_path}/begun; wait"
    process = start(tap, "cat; sleep 0.3; echo; printf '{'")
    wait_for(tmp_path / "begun")
    process.send_signal(number)
    out, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, errors) == (128 + number, "", "")
    assert (tmp_path / "state.json").read_text() == KEPT


def test_a_second_signal_ends_a_target_that_takes_its_time(start: Start, tmp_path: Path) -> None:
    process = start("cat /dev/zero", f"echo '{KEPT.strip()}'; touch {tmp_path}/begun; exec sleep 60")
    wait_for(tmp_path / "begun")
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.terminate()
    process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "state.json").read_text() == KEPT


def test_two_syncs_do_not_share_a_state(start: Start, sync: Sync, tmp_path: Path) -> None:
    first = start(f"touch {tmp_path}/begun; exec sleep 60", "cat")
    wait_for(tmp_path / "begun")
    second = sync(f"touch {tmp_path}/second", "cat")
    assert second.returncode == 1
    assert second.stderr == (
        f"sync.sh: another sync with {tmp_path}/state.json is under way; wait for it, or give this one another state\n"
    )
    assert not (tmp_path / "second").exists()
    first.terminate()
    first.communicate(timeout=SECONDS)
    assert sync("exit 0", "cat").returncode == 0


def test_it_says_how_it_is_called(tmp_path: Path) -> None:
    called = subprocess.run([EXAMPLES / "sync.sh", tmp_path / "state"], capture_output=True, text=True, check=False)
    assert called.returncode == 2
    assert called.stderr == "usage: sync.sh STATE_FILE TARGET [ARGUMENT...]\n"


def test_the_config_is_one_that_the_program_takes() -> None:
    config = json.loads((EXAMPLES / "config.json").read_text())
    Config.parse({**config, "api_key": "key"})


def test_meltanos_settings_are_those_of_about() -> None:
    project = yaml.safe_load((EXAMPLES / "meltano" / "meltano.yml").read_text())
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
