"""Programs that import `SourceIncident` work with the oldest and with the newest supported CDK."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import KEY
from integration_tests.support.tap import AIRBYTE, ROOT, SECONDS
from sandbox import Sandbox

pytestmark = pytest.mark.clients

STREAMS = ["severities", "incident_updates", "custom_field_options"]
READ = """
import sys
from importlib.metadata import version
from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch
from airbyte_cdk.sources.streams.http import HttpStream
from source_incident import SourceIncident
source = SourceIncident()
assert all(isinstance(stream, HttpStream) for stream in source.streams({"api_key": "key-4711-4711"}))
print(version("airbyte-cdk"), file=sys.stderr)
launch(source, sys.argv[1:])
"""


@pytest.mark.parametrize("environment", [".venv-cdk", ".venv"])
def test_the_entrypoint_of_the_cdk_reads(
    environment: str, shared_sandbox: Sandbox, catalog: Catalog, tmp_path: Path
) -> None:
    config, selected = tmp_path / "config.json", tmp_path / "catalog.json"
    config.write_text(json.dumps({"api_key": KEY, "endpoint": shared_sandbox.url}))
    selected.write_text(json.dumps(catalog.of(AIRBYTE, STREAMS)))
    process = subprocess.run(
        [ROOT / environment / "bin/python", "-c", READ, "read", "--config", config, "--catalog", selected],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=SECONDS,
    )
    assert process.returncode == 0, process.stderr.decode()[-2000:] + process.stdout.decode()[-2000:]
    read = process.stderr.decode().split()[0]
    oldest, next_major = re.findall(r'"airbyte-cdk>=([\d.]+),<(\d+)"', (ROOT / "setup.py").read_text())[0]
    assert read.startswith(f"{oldest}.") if environment == ".venv-cdk" else int(read.split(".")[0]) < int(next_major)
    messages = [json.loads(line) for line in process.stdout.splitlines()]
    counts = {
        name: sum(1 for message in messages if message["type"] == "RECORD" and message["record"]["stream"] == name)
        for name in STREAMS
    }
    assert counts == {name: shared_sandbox.snapshot(name)["count"] for name in STREAMS}
    states = [message for message in messages if message["type"] == "STATE"]
    assert {state["state"]["stream"]["stream_descriptor"]["name"] for state in states} == set(STREAMS)
