"""The program as a process: what can be read while it waits, and how a signal ends it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit_tests.api.server import ScriptedServer, answer

KEY = "inc_5ecret_key_0123456789abcdef"
# The server keeps an answer back for so long. What must happen before the answer has all this time.
IDLE = 60.0
SOON = 30.0


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as started:
        yield started


def start(tmp_path: Path, server: ScriptedServer, *arguments: str, **settings: Any) -> "subprocess.Popen[bytes]":
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api_key": KEY, "endpoint": server.url, "num_workers": 2, **settings}))
    environment = {name: value for name, value in os.environ.items() if "INCIDENT_" not in name}
    return subprocess.Popen(
        [sys.executable, "-m", "source_incident", *arguments, "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )


def lines_until(process: "subprocess.Popen[bytes]", kind: str) -> list[dict[str, Any]]:
    """The lines up to the first one of a type, or those that came in time."""
    found: list[dict[str, Any]] = []
    done = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            found.append(json.loads(line))
            if found[-1]["type"] == kind:
                break
        done.set()

    threading.Thread(target=read, daemon=True).start()
    done.wait(SOON)
    return found


@pytest.mark.parametrize("command", [["read"], []])
def test_a_state_and_its_records_can_be_read_while_the_program_waits(
    tmp_path: Path, server: ScriptedServer, command: list[str]
) -> None:
    page = {"alerts": [{"id": "a1", "updated_at": "2026-01-01T00:00:00Z"}], "pagination_meta": {"after": "a1"}}
    server.add(answer(page), lambda _: server.wait(IDLE))
    catalog = tmp_path / "catalog.json"
    stream = {"name": "alerts", "json_schema": {}, "supported_sync_modes": ["incremental"]}
    entry = {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}
    catalog.write_text(json.dumps({"streams": [entry]}))
    process = start(tmp_path, server, *command, "--catalog", str(catalog))
    try:
        found = lines_until(process, "STATE")
        assert found[-1]["type"] == "STATE"
        assert [line["type"] for line in found].count("RECORD") == 1
        assert process.poll() is None, "the second page is still on its way"
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_a_check_while_requests_are_in_flight(tmp_path: Path, server: ScriptedServer) -> None:
    server.add(answer({"identity": {"name": "My key"}}), answer({"incidents": [], "pagination_meta": {}}))
    server.add(*[lambda _: server.wait(IDLE)] * 100)
    process = start(tmp_path, server, "check")
    try:
        deadline = time.monotonic() + SOON
        while len(server.requests) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(server.requests) == 4, "the identity, the incidents, and one request for each worker"
        interrupted_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=IDLE)
        assert time.monotonic() - interrupted_at < SOON
        assert process.returncode == 130
        assert b"Traceback" not in err
        assert len(server.requests) == 4
    finally:
        process.kill()
