"""Runs that can't read or write end with one line on stderr, an exit code and no traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import PROGRAM, SECONDS, MakeTap
from sandbox import Sandbox


def run(config: dict[str, object], directory: Path, *arguments: str, stdout: int = subprocess.PIPE) -> tuple[int, str]:
    """Run the program; return its exit code, and stderr without log lines."""
    path = directory / "config.json"
    path.write_text(json.dumps(config))
    process = subprocess.run(
        [*PROGRAM, *arguments, "--config", str(path)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
    )
    lines = [line for line in process.stderr.splitlines() if not line.startswith(("INFO ", "WARNING "))]
    return process.returncode, "\n".join(lines)


@pytest.mark.parametrize("arguments", [(), ("read",)])
def test_reports_an_api_that_never_answers_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    config = {"api_key": "key", "endpoint": "http://127.0.0.1:1", "max_retries": 1}
    code, errors = run(config, tmp_path, *arguments)
    assert code == 1
    assert errors.count("\n") == 0
    assert "http://127.0.0.1:1 does not answer" in errors
    assert "endpoint" in errors


@pytest.mark.parametrize("arguments", [(), ("read",), ("--discover",)])
def test_reports_a_full_disk_in_one_line(shared_sandbox: Sandbox, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        code, errors = run(
            {"api_key": shared_sandbox.key, "endpoint": shared_sandbox.url}, tmp_path, *arguments, stdout=full
        )
    finally:
        os.close(full)
    assert code == 1
    assert errors.startswith("tap-incident: ")
    assert "stdout: No space left on device" in errors
    assert errors.count("\n") == 0


@pytest.mark.parametrize("log", ["2>/dev/full", "2>&-", "2> >(:)"], ids=["full disk", "closed", "closed pipe"])
def test_finishes_when_the_log_cannot_be_written(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, log: str
) -> None:
    tap = tap_of(shared_sandbox)
    command = shlex.join([*PROGRAM, *tap.read_arguments(catalog.of(protocol, ["severities"]))])
    process = subprocess.run(["bash", "-c", f"{command} {log}"], stdout=subprocess.PIPE, timeout=SECONDS)
    assert process.returncode == 0
    assert all(json.loads(line)["type"] for line in process.stdout.splitlines())
    assert process.stdout.count(b'"RECORD"') == shared_sandbox.snapshot("severities")["count"]


@pytest.mark.parametrize("log", ["2>/dev/full", "2>&-"])
def test_keeps_the_exit_code_when_the_error_cannot_be_printed(log: str) -> None:
    for arguments, code in (("--bogus", 2), ("--config /nowhere.json", 2), ("read --config /nowhere.json", 2)):
        command = f"{shlex.join(PROGRAM)} {arguments} {log}"
        process = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, timeout=SECONDS)
        assert process.returncode == code
        assert b"tap-incident:" not in process.stdout


def test_fails_if_the_endpoint_is_not_the_api(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    code, errors = run({"api_key": shared_sandbox.key, "endpoint": f"{shared_sandbox.url}/elsewhere"}, tmp_path)
    assert code != 0
    assert "no stream could be read" in errors


def test_emits_the_page_before_a_page_that_fails(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """Page 2 fails while page 1 still waits for its incidents' updates. The state resumes at page 2."""
    faults = [
        "500:path=/v2/incidents,query=after=",
        "stall:path=/v2/incident_updates,seconds=0.5,nth=1-3",
    ]
    sandbox = new_sandbox(incidents=320, updates=350, fault=faults)
    run = tap_of(sandbox, max_retries=0).read(catalog.of(protocol, ["incidents"]))
    assert run.code == 1
    assert run.counts["incidents"] > 200
    assert "resume" in json.dumps(run.states["incidents"])
