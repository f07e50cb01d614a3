"""The vendor's Python SDK parses every response of the sandbox: a check that is independent of this repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.computed import COMPUTED
from sandbox.contract import Contract
from sandbox.sample_requests import sample_parameters

CONTRACT = Contract()
CACHE = Path(__file__).parents[2] / ".cache"
READER = Path(__file__).with_name("sdk_reader.py")


@pytest.fixture(scope="module")
def sdk_python() -> Path:
    """Python of a virtual environment with the SDK, in the version of the contract."""
    home = CACHE / f"sdk-{CONTRACT.version}-{sys.version_info[0]}.{sys.version_info[1]}"
    python = home / "bin" / "python"
    stamp = home / "complete"
    if not stamp.exists():
        commands = (
            [sys.executable, "-m", "venv", "--clear", str(home)],
            [str(python), "-m", "pip", "install", "-q", f"incident-io=={CONTRACT.version}"],
        )
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                message = f"pip could not install the vendor's SDK: {done.stderr.strip()[-400:]}"
                if os.environ.get("CI") == "true":
                    pytest.fail(message)
                pytest.skip(message)
        stamp.touch()
    return python


def read(sdk_python: Path, sandbox: Sandbox, requests: dict[str, Any]) -> Any:
    """Read with the SDK. Returns the result of each path."""
    done = subprocess.run(
        [str(sdk_python), str(READER), sandbox.url, sandbox.key],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_the_reader_reports_an_invalid_response(sdk_python: Path) -> None:
    for fault in ("shape:as=missing", "shape:as=string_record", "403"):
        with Sandbox(incidents=3, fault=[fault]) as sandbox:
            results = read(sdk_python, sandbox, {"/v2/incidents": [{"page_size": 1}]})
            assert "error" in results["/v2/incidents"], fault


def test_the_sdk_reads_every_endpoint(sdk_python: Path) -> None:
    with Sandbox(incidents=40, alerts=200) as sandbox:
        requests = {}
        endpoints = [endpoint for endpoint in CONTRACT.endpoints.values() if endpoint.name not in COMPUTED]
        for endpoint in endpoints:
            arguments = [
                {**parents, **({"page_size": endpoint.page_size_max} if endpoint.paged else {})}
                for parents in sample_parameters(sandbox, endpoint)
            ]
            requests[endpoint.path] = arguments
        results = read(sdk_python, sandbox, requests)
        assert {path: r["error"] for path, r in results.items() if "error" in r} == {}
        assert {path: r["read"] for path, r in results.items()} == {
            path: len(arguments) for path, arguments in requests.items()
        }
        assert sum(len(arguments) for arguments in requests.values()) > len(endpoints)
        rejected = [e for e in sandbox.requests()["log"] if e["status"] != 200 or "unknown" in e]
        assert rejected == []
