"""The engine, the image, and a container as locked down as a platform may start it."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from docker.errors import DockerException
from docker.models.containers import Container
from docker.models.images import Image
from docker.types import LogConfig

from sandbox import Sandbox

ROOT = Path(__file__).parents[2]
TARGET = ROOT / ".venv-targets" / "bin" / "target-duckdb"
KEY = "sandbox-key"
SECONDS = 120
SHELL = ["/bin/sh", "-c"]


@dataclass(frozen=True)
class Ended:
    """What a container left: its exit code, the lines of its stdout, and its stderr."""

    code: int
    lines: list[str]
    errors: str

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """The messages of stdout that have this `type`; every line must be a JSON object."""
        messages = [json.loads(line) for line in self.lines]
        return [message for message in messages if message["type"] == kind]


@dataclass(frozen=True)
class Connector:
    """The image, and the ways to start it."""

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
        """Makes it, with a read-only root, no capability, and a user that the image does not know.

        Args:
            keep_output: without it, its output reaches only who attaches, and the disk is not filled with it.
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
        """Makes it, as `create` does, and starts it."""
        container = self.create(*command, **options)
        container.start()
        return container

    def run(self, *command: str, **options: Any) -> Ended:
        """Starts it, as `start` does, and waits for its end."""
        container = self.start(*command, **options)
        try:
            code = container.wait(timeout=SECONDS)["StatusCode"]
            lines = container.logs(stdout=True, stderr=False).decode().splitlines()
            return Ended(code, lines, container.logs(stdout=False, stderr=True).decode())
        finally:
            container.remove(force=True)

    def pipe_into_target(self, database: Path, *command: str) -> list[str]:
        """Runs it with its stdout piped into target-duckdb; gives the lines of state it printed."""
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
                state = target.stdout.read().decode().splitlines()
            assert container.wait(timeout=SECONDS)["StatusCode"] == 0
            assert target.returncode == 0
            return state
        finally:
            container.remove(force=True)


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """The Docker engine. Without one: a failure in CI, a skip elsewhere."""
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except DockerException as error:
        problem = f"no Docker engine answers: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    return client


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> Image:
    """The image, built from the Dockerfile as `make image` builds it."""
    metadata = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]
    tag = f"{metadata['dockerRepository']}:{metadata['dockerImageTag']}"
    return engine.images.build(path=str(ROOT), tag=tag, network_mode="host", rm=True)[0]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    """The URL of a sandbox that every test here shares."""
    with Sandbox(incidents=30, key=KEY) as server:
        yield server.url


@pytest.fixture
def connector(engine: docker.DockerClient, image: Image, tmp_path: Path) -> Connector:
    """The connector, with an empty directory mounted at /config."""
    tmp_path.chmod(0o755)
    return Connector(engine, image, tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], str]:
    """Puts a JSON document into the mounted directory; gives its path in the container."""

    def write_document(name: str, document: Any) -> str:
        file = tmp_path / name
        file.write_text(json.dumps(document))
        file.chmod(0o644)
        return f"/config/{name}"

    return write_document


@pytest.fixture
def config(write: Callable[[str, Any], str], sandbox: str) -> str:
    """The path, in the container, of a config that reaches the sandbox."""
    return write("config.json", {"api_key": KEY, "endpoint": sandbox})
