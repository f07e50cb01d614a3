"""The commands of the documents that start a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from docker.models.images import Image

from integration_tests.container.conftest import KEY, SECONDS
from integration_tests.docs.commands import IN_A_CONTAINER, Command, commands

pytestmark = pytest.mark.container

COMMANDS = [command for command in commands() if command.like(IN_A_CONTAINER)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.document}:{command.line}")
def test_a_command_that_starts_a_container_does_what_it_says(
    command: Command, image: Image, sandbox: str, tmp_path: Path
) -> None:
    """The same command, on the host's network: that is where the sandbox is."""
    client = shutil.which("docker")
    if client is None:
        pytest.fail("the docker command is needed")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api_key": KEY, "endpoint": sandbox}))
    config.chmod(0o644)
    tmp_path.chmod(0o755)
    ran = subprocess.run(
        ["bash", "-c", f'docker() {{ "{client}" "$1" --network host "${{@:2}}"; }}; {command.text}'],
        cwd=tmp_path,
        env={**os.environ, "INCIDENT_API_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    if "--config ENV" in command.text:
        assert json.loads(ran.stdout)["streams"]
    else:
        wanted = {"spec": "SPEC", "check": "CONNECTION_STATUS", "discover": "CATALOG", "read": "RECORD"}
        [said] = [kind for word, kind in wanted.items() if word in command.text.split()]
        assert said in {json.loads(line)["type"] for line in ran.stdout.splitlines()}
