"""The commands in the documents that start a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from docker.models.images import Image

from integration_tests.docs.commands import IN_A_CONTAINER, Command, commands
from integration_tests.support.sandboxes import KEY
from integration_tests.support.tap import SECONDS

pytestmark = pytest.mark.container

COMMANDS = [command for command in commands() if command.like(IN_A_CONTAINER)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.document}:{command.line}")
def test_a_documented_container_command_works(command: Command, image: Image, sandbox: str, tmp_path: Path) -> None:
    """The command runs with the host's network, where the sandbox listens."""
    client = shutil.which("docker")
    if client is None:
        pytest.fail("the docker command is needed")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api_key": KEY, "endpoint": sandbox}))
    config.chmod(0o600)
    tmp_path.chmod(0o755)
    process = subprocess.run(
        ["bash", "-c", f'docker() {{ "{client}" "$1" --network host "${{@:2}}"; }}; {command.text}'],
        cwd=tmp_path,
        env={**os.environ, "INCIDENT_API_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert process.returncode == 0, process.stderr
    if "--config ENV" in command.text:
        assert json.loads(process.stdout)["streams"]
    else:
        message_types = {"spec": "SPEC", "check": "CONNECTION_STATUS", "discover": "CATALOG", "read": "RECORD"}
        [expected] = [kind for word, kind in message_types.items() if word in command.text.split()]
        assert expected in {json.loads(line)["type"] for line in process.stdout.splitlines()}
