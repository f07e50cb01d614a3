"""Fixtures that build the container image."""

from __future__ import annotations

import os

import docker
import pytest
import yaml
from docker.errors import DockerException
from docker.models.images import Image

from integration_tests.support.tap import ROOT


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """A client of the Docker engine. Without an engine, tests fail in CI and skip elsewhere."""
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
    name, version = metadata["dockerRepository"], metadata["dockerImageTag"]
    built: Image = engine.images.build(path=str(ROOT), tag=f"{name}:{version}", network_mode="host", rm=True)[0]
    built.tag(name, "latest")
    return built
