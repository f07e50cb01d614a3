"""The entry point: commands that need no API, what they import, and the program as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airbyte_cdk.models import AirbyteMessageSerializer

from source_incident import run
from unit_tests.conftest import KEY, RAW_AND_ESCAPED, Program


def test_prints_the_version(program: Program) -> None:
    assert program("--version").out.startswith("tap-incident 0.")


def test_prints_the_spec_as_an_airbyte_message(program: Program) -> None:
    (spec,) = program("spec").lines
    assert spec["type"] == "SPEC"
    assert AirbyteMessageSerializer.load(spec).spec is not None


@pytest.mark.parametrize("line", ["--about", "spec --singer"])
def test_prints_about_as_json(program: Program, line: str) -> None:
    about = json.loads(program(*line.split()).out)
    assert about["name"] == "tap-incident"
    assert {"catalog", "discover", "state", "about", "properties"} <= set(about["capabilities"])
    assert about["settings"]["required"] == ["api_key"]
    assert about["settings"]["properties"]["api_key"]["secret"] is True
    assert "order" not in about["settings"]["properties"]["api_key"]


def test_prints_about_as_markdown(program: Program) -> None:
    about = json.loads(program("--about").out)
    markdown = program("--about", "--format", "markdown").out
    assert all(f"| `{name}` |" in markdown for name in about["settings"]["properties"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_prints_the_completion_script(program: Program, shell: str) -> None:
    result = program("--print-completion", shell)
    assert result.code == 0
    assert "tap-incident" in result.out


@pytest.mark.parametrize(
    "line", ["write", "read --what", "--discover --test", "--format json", "--config", "spec --catalog"]
)
def test_reports_an_unusable_command_line_in_one_line_and_exits_with_2(program: Program, line: str) -> None:
    result = program(*line.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("tap-incident: ")
    assert result.err.endswith(". See tap-incident --help\n")
    assert result.err.count("\n") == 1


def test_reports_a_closed_stdout(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    result = program("--version")
    assert result.code == 2
    assert result.err.startswith("tap-incident: stdout is closed")


def test_exits_with_130_after_ctrl_c_during_the_import(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "import_app", interrupted)
    assert program("discover").code == 130


CALL = """
import runpy, sys
sys.argv[0] = "source_incident"
try:
    runpy.run_module("source_incident", run_name="__main__")
finally:
    heavy = {"airbyte_cdk", "requests", "pydantic", "rich", "shtab", "source_incident.source"} & set(sys.modules)
    print("heavy:", *sorted(heavy), file=sys.stderr)
"""


@pytest.mark.parametrize("line", ["--help", "--version", "spec", "--about", "--format x"])
def test_does_not_import_the_cdk_for_a_command_that_needs_no_api(line: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CALL, *line.split()], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stderr.splitlines()[-1] == "heavy:"
    assert result.returncode == (2 if line == "--format x" else 0)


def test_imports_the_source_from_the_package_on_first_use() -> None:
    code = (
        "import sys, source_incident; assert 'airbyte_cdk' not in sys.modules; "
        "from source_incident import SourceIncident; print(SourceIncident().name)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "source-incident\n", result.stderr


@pytest.mark.parametrize("line", ["--version", "spec", "discover", "discover --singer"])
def test_exits_with_141_if_the_reader_of_stdout_is_gone(line: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "source_incident", *line.split()],
        env={"INCIDENT_API_KEY": KEY},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


def test_a_failed_read_as_a_process_prints_only_messages_to_stdout_and_one_line_to_stderr(tmp_path: Path) -> None:
    config = tmp_path / "c.json"
    config.write_text(json.dumps({"api_key": KEY, "endpoint": "http://127.0.0.1:1", "max_retries": 0}))
    result = subprocess.run(
        [sys.executable, "-m", "source_incident", "read", "--config", config],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert {json.loads(line)["type"] for line in result.stdout.splitlines()} <= {"LOG", "TRACE"}
    assert "connection refused" in result.stdout
    assert result.stderr.count("\n") <= 1
    assert "Traceback" not in result.stderr
    for secret in RAW_AND_ESCAPED:
        assert secret not in result.stdout + result.stderr
