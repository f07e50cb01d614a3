"""Fixtures: the CDK's test scenarios with the sandbox, and containers on the host's network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

import pytest
from airbyte_cdk.test.models import ConnectorTestScenario
from docker.models.images import Image

from integration_tests.support.image import engine as engine
from integration_tests.support.image import image as image
from integration_tests.support.tap import ROOT
from sandbox import Sandbox


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test per scenario of acceptance-test-config.yml, like the CDK's own plugin."""
    if "scenario" in metafunc.fixturenames and metafunc.cls is not None:
        metafunc.parametrize("scenario", metafunc.cls.get_scenarios(), ids=lambda scenario: scenario.id, indirect=True)


@pytest.fixture
def scenario(request: pytest.FixtureRequest, shared_sandbox: Sandbox) -> ConnectorTestScenario:
    """A scenario whose config has the sandbox's URL and key, so that no file of secrets is needed."""
    original: ConnectorTestScenario = request.param
    config = {"api_key": shared_sandbox.key}
    if not original.requires_creds:
        config = original.get_config_dict(connector_root=ROOT, empty_if_missing=False)
    return original.model_copy(update={"config_dict": {**config, "endpoint": shared_sandbox.url}})


@pytest.fixture
def connector_image_override(image: Image, on_the_hosts_network: None) -> str:
    """The image of our Dockerfile. Without it, the CDK builds one from a template that it downloads."""
    return str(image.id)


@pytest.fixture
def connector_base_image_override() -> None:
    """No override: the Dockerfile names the base image."""


@pytest.fixture
def read_from_streams() -> Literal["all"]:
    return "all"


@pytest.fixture
def read_scenarios() -> Literal["all"]:
    return "all"


@pytest.fixture
def on_the_hosts_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put a `docker` into the PATH that adds the network, because the CDK has no option for it."""
    docker = shutil.which("docker")
    wrapper = tmp_path / "docker"
    wrapper.write_text(
        f'#!/bin/sh\n[ "$1" = run ] && {{ shift; set -- run --network host "$@"; }}\nexec {docker} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
