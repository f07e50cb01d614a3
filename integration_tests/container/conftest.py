"""Fixtures: a sandbox, the image, and a directory that is mounted into its containers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.images import Image

from integration_tests.container.connector import Connector
from integration_tests.support.image import engine as engine
from integration_tests.support.image import image as image
from integration_tests.support.sandboxes import KEY
from sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    """The URL of a sandbox for all tests of this folder."""
    with Sandbox(incidents=30, key=KEY) as server:
        yield server.url


@pytest.fixture
def connector(engine: docker.DockerClient, image: Image, tmp_path: Path) -> Connector:
    """The connector, with an empty directory mounted at /config."""
    tmp_path.chmod(0o755)
    return Connector(engine, image, tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], str]:
    """Write a JSON file into the mounted directory; return its path in the container."""

    def write_document(name: str, document: Any) -> str:
        file = tmp_path / name
        file.write_text(json.dumps(document))
        file.chmod(0o644)
        return f"/config/{name}"

    return write_document


@pytest.fixture
def config(write: Callable[[str, Any], str], sandbox: str) -> str:
    """The path, in the container, of a config for the sandbox."""
    return write("config.json", {"api_key": KEY, "endpoint": sandbox})
