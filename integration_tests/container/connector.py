"""Start the image as a container, with as few privileges as a platform may give it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from docker.models.images import Image
from docker.types import LogConfig

from integration_tests.support.account import declarations
from integration_tests.support.tap import ROOT, SECONDS

TARGET = ROOT / ".venv-targets" / "bin" / "target-duckdb"
SHELL = ["/bin/sh", "-c"]
DEFAULT_STREAMS = {name for name, stream in declarations().items() if stream.selected_by_default}


@dataclass(frozen=True)
class Result:
    """The exit code, the lines of stdout, and stderr of a container that ended."""

    code: int
    lines: list[str]
    errors: str

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages on stdout with this `type`. Every line must be a JSON object."""
        messages = [json.loads(line) for line in self.lines]
        return [message for message in messages if message["type"] == kind]


@dataclass(frozen=True)
class Connector:
    """Starts containers of the image."""

    client: docker.DockerClient
    image: Image
    config_directory: Path

    def create(
        self,
        *command: str,
        network: str = "none",
        entrypoint: list[str] | None = None,
        user: str = "12345:12345",
        keep_output: bool = True,
    ) -> Container:
        """Create a container with a read-only root and no capabilities.

        Args:
            command: arguments of the entrypoint.
            network: Docker's network mode.
            entrypoint: replaces the image's entrypoint.
            user: user and group ids. The default is unknown to the image.
            keep_output: whether Docker stores the output. If not, only attached clients get it.
        """
        return self.client.containers.create(
            self.image.id,
            list(command),
            entrypoint=entrypoint,
            network_mode=network,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            user=user,
            mem_limit="256m",
            memswap_limit="256m",
            log_config=None if keep_output else LogConfig(type="none"),
            volumes={str(self.config_directory): {"bind": "/config", "mode": "ro"}},
        )

    def start(self, *command: str, **options: Any) -> Container:
        """Create a container with the options of `create` and start it."""
        container = self.create(*command, **options)
        container.start()
        return container

    def run(self, *command: str, **options: Any) -> Result:
        """Start a container with the options of `create` and wait until it ends."""
        container = self.start(*command, **options)
        try:
            code = container.wait(timeout=SECONDS)["StatusCode"]
            lines = container.logs(stdout=True, stderr=False).decode().splitlines()
            return Result(code, lines, container.logs(stdout=False, stderr=True).decode())
        finally:
            container.remove(force=True)

    def pipe_into_target(self, database: Path, *command: str) -> list[str]:
        """Pipe the output of a container into target-duckdb; return the states that the target printed."""
        config = database.with_suffix(".json")
        config.write_text(
            json.dumps(
                {
                    "path": str(database),
                    "default_target_schema": "main",
                    "add_metadata_columns": True,
                }
            )
        )
        container = self.start(*command, network="host")
        try:
            with subprocess.Popen(
                [TARGET, "--config", config],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as target:
                assert target.stdin is not None
                assert target.stdout is not None
                for chunk in container.logs(stdout=True, stderr=False, stream=True, follow=True):
                    target.stdin.write(chunk)
                target.stdin.close()
                states = target.stdout.read().decode().splitlines()
            assert container.wait(timeout=SECONDS)["StatusCode"] == 0
            assert target.returncode == 0
            return states
        finally:
            container.remove(force=True)
