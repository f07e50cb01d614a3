"""How a run ends where nothing can be read or written: one line, an exit code, no traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.support.tap import PROGRAM, Catalog
from sandbox import Sandbox


def run(config: dict[str, object], folder: Path, *arguments: str, stdout: int = subprocess.PIPE) -> tuple[int, str]:
    """The exit code, and what stderr says but for retries and the log."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "source_incident", *arguments, "--config", str(path)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("INFO ", "WARNING "))]
    return done.returncode, "\n".join(lines)


@pytest.mark.parametrize("arguments", [(), ("read",)])
def test_an_api_that_never_answers_ends_the_run_with_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    config = {"api_key": "key", "endpoint": "http://127.0.0.1:1", "max_retries": 1}
    code, said = run(config, tmp_path, *arguments)
    assert code == 1
    assert said.count("\n") == 0
    assert "http://127.0.0.1:1 does not answer" in said
    assert "Check the network and the setting endpoint" in said


@pytest.mark.parametrize("arguments", [(), ("read",), ("--discover",)])
def test_a_full_disk_is_told_in_one_line(shared_sandbox: Sandbox, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        code, said = run(
            {"api_key": shared_sandbox.key, "endpoint": shared_sandbox.url}, tmp_path, *arguments, stdout=full
        )
    finally:
        os.close(full)
    assert code == 1
    assert said.startswith("tap-incident: can't write to stdout: No space left on device. Put that right")


@pytest.mark.parametrize("log", ["2>/dev/full", "2>&-", "2> >(:)"], ids=["full", "closed", "its reader has gone"])
def test_a_log_that_cannot_be_written_ends_nothing(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, log: str
) -> None:
    tap = tap_of(shared_sandbox)
    command = shlex.join([*PROGRAM, *tap.read_arguments(catalog.of(protocol, ["severities"]))])
    done = subprocess.run(["bash", "-c", f"{command} {log}"], stdout=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 0
    assert all(json.loads(line)["type"] for line in done.stdout.splitlines())
    assert done.stdout.count(b'"RECORD"') == shared_sandbox.snapshot("severities")["count"]


@pytest.mark.parametrize("log", ["2>/dev/full", "2>&-"])
def test_a_failure_that_cannot_be_told_keeps_its_exit_code(log: str) -> None:
    for arguments, code in (("--bogus", 2), ("--config /nowhere.json", 2), ("read --config /nowhere.json", 2)):
        command = f"{shlex.join(PROGRAM)} {arguments} {log}"
        done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, timeout=120, check=False)
        assert done.returncode == code
        assert b"tap-incident:" not in done.stdout


def test_a_path_that_is_not_the_api_is_no_empty_success(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    code, said = run({"api_key": shared_sandbox.key, "endpoint": f"{shared_sandbox.url}/elsewhere"}, tmp_path)
    assert code != 0
    assert "no stream could be read" in said


def test_what_was_read_before_a_page_that_fails_is_handed_out(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """Page 2 fails while page 1 still waits for its incidents' updates: the state says where page 2 is."""
    fault = ["status:status=500,path=/v2/incidents,query=after=", "stall:path=/v2/incident_updates,seconds=0.5,nth=1-3"]
    sandbox = new_sandbox(incidents=320, updates=350, fault=fault)
    run = tap_of(sandbox, max_retries=0).read(catalog.of(protocol, ["incidents"]))
    assert run.code == 1
    assert run.counts["incidents"] > 200
    assert "resume" in json.dumps(run.states["incidents"])
