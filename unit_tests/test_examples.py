"""The examples: sync.sh keeps a valid state, and the files match the program."""

import ast
import json
import os
import re
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
STATE = '{"bookmarks": {"alerts": 1}}\n'
Sync = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]


def reset_signals() -> None:
    """Reset signals that are ignored in background jobs; child processes would inherit that."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start sync.sh with shell scripts as the tap and the target."""
    started = []

    def start(tap: str, target: str, **environment: str) -> subprocess.Popen[str]:
        for name, script in (("tap-incident", tap), ("target", target)):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        process = subprocess.Popen(
            [EXAMPLES / "sync.sh", tmp_path / "state.json", "target", "--config", "target.json"],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment},
            preexec_fn=reset_signals,
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
    """Run sync.sh until every process that holds its output has exited."""

    def run(tap: str, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = start(tap, target, **environment)
        out, errors = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    return run


def wait_for(file: Path) -> None:
    for _ in range(SECONDS * 20):
        if file.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{file.name} does not exist after {SECONDS} seconds")


def test_first_sync_starts_with_an_empty_state(sync: Sync, tmp_path: Path) -> None:
    ran = sync(f'cat "$4" > {tmp_path}/input_state; echo "$@" >&2', "cat")
    assert ran.returncode == 0
    assert (tmp_path / "input_state").read_text() == "{}\n"
    assert ran.stderr == f"--config ENV --state {tmp_path}/state.json\n"


def test_keeps_the_last_state_that_the_target_printed(sync: Sync, tmp_path: Path) -> None:
    sync(f"echo '{{}}'; echo '{STATE.strip()}'", "cat")
    assert (tmp_path / "state.json").read_text() == STATE


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
    ids=["truncated", "blank", "without newline", "number", "null", "text"],
)
def test_ignores_lines_that_are_not_a_state(sync: Sync, tmp_path: Path, last: str) -> None:
    ended = sync(f"echo '{STATE.strip()}'", f"cat; {last}; kill -KILL $$")
    assert ended.returncode == 128 + signal.SIGKILL
    assert (tmp_path / "state.json").read_text() == STATE


def test_keeps_the_state_if_the_target_prints_none(sync: Sync, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(STATE)
    assert sync("exit 0", "cat").returncode == 0
    assert (tmp_path / "state.json").read_text() == STATE


@pytest.mark.parametrize(
    ("end_of_tap", "end_of_target", "code"),
    [("exit 3", "", 3), ("", "exit 4", 4)],
    ids=["the tap fails", "the target fails"],
)
def test_failed_sync_keeps_the_state_of_the_stored_records(
    sync: Sync, tmp_path: Path, end_of_tap: str, end_of_target: str, code: int
) -> None:
    assert sync(f"echo '{STATE.strip()}'; {end_of_tap}", f"cat; {end_of_target}").returncode == code
    assert (tmp_path / "state.json").read_text() == STATE


def test_unwritable_state_fails_the_sync_with_one_line(sync: Sync, tmp_path: Path) -> None:
    (tmp_path / "state.json.next").mkdir()
    ended = sync(f"echo '{STATE.strip()}'", "cat")
    assert ended.returncode == 1
    assert ended.stderr == f"sync.sh: {tmp_path}/state.json: cannot be written: Is a directory\n"


def test_target_does_not_get_the_api_key(sync: Sync, tmp_path: Path) -> None:
    variables = {"INCIDENT_API_KEY": "first-key", "TAP_INCIDENT_API_KEY": "second-key"}
    ran = sync(f"env >{tmp_path}/tap.env", f"env >{tmp_path}/target.env; cat", **variables, TARGET_PASSWORD="password")
    assert ran.returncode == 0, ran.stderr
    tap, target = ((tmp_path / name).read_text() for name in ("tap.env", "target.env"))
    assert "INCIDENT_API_KEY=first-key" in tap
    assert "TAP_INCIDENT_API_KEY=second-key" in tap
    assert "-key" not in target
    assert "TARGET_PASSWORD=password" in target


def test_leaves_no_temporary_file(sync: Sync, tmp_path: Path) -> None:
    sync("echo '{}'", "cat")
    assert {file.name for file in tmp_path.iterdir()} == {"state.json", "state.json.lock", "tap-incident", "target"}


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_stops_the_tap_and_the_target_stores_its_records(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    end = f"end() {{ echo '{STATE.strip()}'; kill $!; exit; }}; trap end {number.name[3:]}"
    tap = f"sleep 60 & {end}; touch {tmp_path}/started; wait"
    process = start(tap, "cat; sleep 0.3; echo; printf '{'")
    wait_for(tmp_path / "started")
    process.send_signal(number)
    out, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, errors) == (128 + number, "", "")
    assert (tmp_path / "state.json").read_text() == STATE


def test_second_signal_stops_a_slow_target(start: Start, tmp_path: Path) -> None:
    process = start("cat /dev/zero", f"echo '{STATE.strip()}'; touch {tmp_path}/started; exec sleep 60")
    wait_for(tmp_path / "started")
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.terminate()
    process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "state.json").read_text() == STATE


def test_second_sync_with_the_same_state_is_rejected(start: Start, sync: Sync, tmp_path: Path) -> None:
    first = start(f"touch {tmp_path}/started; exec sleep 60", "cat")
    wait_for(tmp_path / "started")
    second = sync(f"touch {tmp_path}/second", "cat")
    assert second.returncode == 1
    assert second.stderr == (
        f"sync.sh: another sync with {tmp_path}/state.json is running; wait until it ends or use another state file\n"
    )
    assert not (tmp_path / "second").exists()
    first.terminate()
    first.communicate(timeout=SECONDS)
    assert sync("exit 0", "cat").returncode == 0


def test_missing_arguments_print_the_usage(tmp_path: Path) -> None:
    called = subprocess.run([EXAMPLES / "sync.sh", tmp_path / "state"], capture_output=True, text=True, check=False)
    assert called.returncode == 2
    assert called.stderr == "usage: sync.sh STATE_FILE TARGET [ARGUMENT...]\n"


def test_airflow_runs_can_choose_streams_only() -> None:
    """Who chooses the image, the volumes or a command can read the API key."""
    tree = ast.parse((EXAMPLES / "airflow" / "incident_dag.py").read_text())
    [params] = [
        keyword.value for keyword in ast.walk(tree) if isinstance(keyword, ast.keyword) and keyword.arg == "params"
    ]
    assert isinstance(params, ast.Dict)
    assert [key.value for key in params.keys if isinstance(key, ast.Constant)] == ["streams"]
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    [script] = [text for text in texts if "--state" in text]
    assert not re.search(r"\beval\b", script)


def test_airflow_target_does_not_get_the_api_key(tmp_path: Path) -> None:
    """Runs the script that the DAG starts in the container, with shell scripts as the tap and the target."""
    tree = ast.parse((EXAMPLES / "airflow" / "incident_dag.py").read_text())
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    [script] = [text for text in texts if "--state" in text]
    for name, text in (("tap-incident", "env"), ("target", f"cat >{tmp_path}/tap.env; env; echo $1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    ran = subprocess.run(
        ["bash", "-c", script.replace("/tmp/", f"{tmp_path}/"), "sync", "target", "$(touch x)"],  # noqa: S108
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "INCIDENT_API_KEY": "key", "CATALOG": "{}", "STATE": "{}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert "INCIDENT_API_KEY=key" in (tmp_path / "tap.env").read_text()
    assert "INCIDENT_API_KEY" not in ran.stdout
    assert ran.stdout.endswith("$(touch x)\n")
    assert not (tmp_path / "x").exists()


def test_no_other_example_pipes_the_tap_into_a_target() -> None:
    pipes = re.compile(r"^[^#\n]*\btap-incident\b[^|\n]*[^|]\|(?:\n|[^|])", re.MULTILINE)
    found = {
        path.name
        for path in EXAMPLES.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and pipes.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"sync.sh", "incident_dag.py"}
    guide = (EXAMPLES.parent / "deploying.md").read_text(encoding="utf-8")
    assert pipes.findall(guide)
    assert re.findall(r"\|\n +(?!env --unset=INCIDENT_API_KEY )(target-\S+)", guide) == []


def test_dagster_runs_can_choose_nothing() -> None:
    text = (EXAMPLES / "dagster" / "incident_dagster.py").read_text()
    assert "dg.Config" not in text
    assert "[SYNC, STATE, *TARGET]" in text


@pytest.mark.parametrize("name", ["circleci.yml", "github-actions.yml", "gitlab-ci.yml"])
def test_ci_caches_have_the_state_only(name: str) -> None:
    def cached(node: object) -> list[str]:
        """The values of `path` and `paths` at any depth."""
        if isinstance(node, list):
            return [path for item in node for path in cached(item)]
        if not isinstance(node, dict):
            return []
        found = [path for key, value in node.items() if key not in ("path", "paths") for path in cached(value)]
        paths = [node["path"]] if "path" in node else node.get("paths", [])
        return found + [path for value in paths for path in value.split()]

    found = cached(yaml.safe_load((EXAMPLES / name).read_text()))
    assert found
    assert set(found) == {"state.json"}


def test_example_config_is_valid() -> None:
    config = json.loads((EXAMPLES / "config.json").read_text())
    Config.parse({**config, "api_key": "key"})


def test_meltano_project_has_the_settings_of_about() -> None:
    project = yaml.safe_load((EXAMPLES / "meltano" / "meltano.yml").read_text())
    [extractor] = project["plugins"]["extractors"]
    printed = subprocess.run(
        [sys.executable, "-m", "source_incident", "--about", "--format=json"], capture_output=True, check=True
    ).stdout
    about = json.loads(printed)
    declared = about["settings"]["properties"]
    assert [setting["name"] for setting in extractor["settings"]] == list(declared)
    for setting in extractor["settings"]:
        kind = setting.get("kind", "string").replace("date_iso8601", "string")
        assert declared[setting["name"]]["type"] == kind
        assert declared[setting["name"]].get("secret", False) == setting.get("sensitive", False)
    assert extractor["settings_group_validation"] == [about["settings"]["required"]]
    assert set(extractor["capabilities"]) <= set(about["capabilities"])
