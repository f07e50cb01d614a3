"""The CDK's scenarios against the sandbox, and containers on the network where it listens."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

import pytest
from airbyte_cdk.test.models import ConnectorTestScenario
from docker.models.images import Image

from integration_tests.container.conftest import engine as engine
from integration_tests.container.conftest import image as image
from integration_tests.support.tap import ROOT
from sandbox import Sandbox


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a scenario of acceptance-test-config.yml, as the CDK's own plugin has it."""
    if "scenario" in metafunc.fixturenames and metafunc.cls is not None:
        metafunc.parametrize("scenario", metafunc.cls.get_scenarios(), ids=lambda scenario: scenario.id, indirect=True)


@pytest.fixture
def scenario(request: pytest.FixtureRequest, shared_sandbox: Sandbox) -> ConnectorTestScenario:
    """The scenario, with the sandbox in the place of the account; no file of secrets is looked at."""
    listed: ConnectorTestScenario = request.param
    config = {"api_key": shared_sandbox.key}
    if not listed.requires_creds:
        config = listed.get_config_dict(connector_root=ROOT, empty_if_missing=False)
    return listed.model_copy(update={"config_dict": {**config, "endpoint": shared_sandbox.url}})


@pytest.fixture
def connector_image_override(image: Image, on_the_hosts_network: None) -> str:
    """The image of our Dockerfile; the CDK would build one from a template that it downloads."""
    return str(image.id)


@pytest.fixture
def connector_base_image_override() -> None:
    """The base image is the Dockerfile's."""


@pytest.fixture
def read_from_streams() -> Literal["all"]:
    return "all"


@pytest.fixture
def read_scenarios() -> Literal["all"]:
    return "all"


@pytest.fixture
def on_the_hosts_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The CDK starts containers without a choice of network: a `docker` before the real one in the PATH makes it."""
    docker = shutil.which("docker")
    wrapper = tmp_path / "docker"
    wrapper.write_text(
        f'#!/bin/sh\n[ "$1" = run ] && {{ shift; set -- run --network host "$@"; }}\nexec {docker} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
