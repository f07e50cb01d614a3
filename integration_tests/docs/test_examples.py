"""The examples are what the services, Kubernetes, Terraform and Dagster take, and their syncs sync."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from airbyte_cdk.sources.utils.casing import camel_to_snake

from integration_tests.conftest import KEY
from integration_tests.support.tap import ROOT, SECONDS
from sandbox import Sandbox
from source_incident.config import Config
from source_incident.streams import STREAMS

EXAMPLES = ROOT / "examples"
TOOLS = ROOT / ".venv-examples" / "bin"
METADATA = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]

Run = Callable[..., subprocess.CompletedProcess[str]]


def document(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as a boolean; BaseLoader leaves every scalar a text
    loaded: dict[str, Any] = yaml.load((EXAMPLES / name).read_text(), Loader=yaml.BaseLoader)  # noqa: S506
    return loaded


def commands(name: str) -> list[str]:
    """What a CI service's file runs, in order."""
    loaded = document(name)
    if "script" in loaded.get("sync", {}):
        return list(loaded["sync"]["script"])
    steps = loaded["jobs"]["sync"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    return [run if isinstance(run, str) else run["command"] for run in runs]


@pytest.fixture
def run(tmp_path: Path, shared_sandbox: Sandbox) -> Run:
    """Runs a program in a directory that looks like a checkout after `examples/install.sh`."""
    for name, environment in (("tap", ".venv"), ("target", ".venv-targets")):
        (tmp_path / name).symlink_to(ROOT / environment)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps({"streams": [{"tap_stream_id": "alerts"}, {"tap_stream_id": "severities"}]}))

    def start(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments,
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "INCIDENT_API_KEY": KEY,
                "INCIDENT_ENDPOINT": shared_sandbox.url,
                "TAP_CATALOG": str(catalog),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return start


@pytest.mark.clients
@pytest.mark.parametrize(
    ("schema", "name"),
    [("circle-ci", "circleci.yml"), ("github-workflows", "github-actions.yml"), ("gitlab-ci", "gitlab-ci.yml")],
)
def test_a_ci_service_takes_its_file(schema: str, name: str, run: Run) -> None:
    checked = run(TOOLS / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", EXAMPLES / name)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", ["circleci.yml", "github-actions.yml", "gitlab-ci.yml"])
def test_a_ci_service_installs_and_then_syncs_what_changed(name: str, run: Run, tmp_path: Path) -> None:
    """The second run has what the first one left in `data`, the directory that the file says to keep."""
    install, sync = commands(name)
    assert install == "examples/install.sh"
    assert "data" in json.dumps(document(name))
    for records in (120, 0):
        ran = run("bash", "-euo", "pipefail", "-c", sync)
        assert ran.returncode == 0, ran.stderr
        assert f"INFO alerts: {records} records" in ran.stderr
        assert json.loads((tmp_path / "data" / "state.json").read_text())["bookmarks"]["alerts"]


@pytest.mark.clients
def test_kubernetes_takes_its_file(run: Run) -> None:
    checked = run(TOOLS / "kubernetes-validate", "--strict", EXAMPLES / "kubernetes.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_kubernetes_never_starts_two_at_once_and_keeps_its_data() -> None:
    documents = list(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text()))
    by_kind = {document["kind"]: document for document in documents}
    job = by_kind["CronJob"]["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    volumes = {volume["name"]: volume for volume in job["jobTemplate"]["spec"]["template"]["spec"]["volumes"]}
    claim = volumes["data"]["persistentVolumeClaim"]["claimName"]
    assert claim == by_kind["PersistentVolumeClaim"]["metadata"]["name"]


@pytest.mark.clients
def test_terraforms_file_names_this_connector_its_settings_and_its_streams(run: Run) -> None:
    read = run(TOOLS / "hcl2tojson", EXAMPLES / "airbyte" / "main.tf")
    assert read.returncode == 0, read.stderr
    parsed = json.loads(read.stdout.replace('\\"', ""))  # it keeps HCL's own quotes
    resources = {kind: block["incident"] for entry in parsed["resource"] for kind, block in entry.items()}
    # the arguments that the provider's documentation has, version 1
    assert set(resources["airbyte_source_definition"]) - {"__is_block__"} == {
        "docker_image_tag",
        "docker_repository",
        "name",
        "workspace_id",
    }
    assert resources["airbyte_source_definition"]["docker_image_tag"] == METADATA["dockerImageTag"]
    assert resources["airbyte_source_definition"]["docker_repository"].endswith(
        METADATA["dockerRepository"].split("/")[1]
    )
    [values] = parsed["locals"]
    Config.parse(values["settings"])
    names = {camel_to_snake(stream.__name__) for stream in STREAMS}
    assert {stream["name"] for stream in resources["airbyte_connection"]["configurations"]["streams"]} <= names


def test_airbytes_chart_gives_a_sync_the_memory_that_the_connector_keeps_to() -> None:
    """The keys are those of the chart's version 2; the container tests hold the connector to 256 MB."""
    values = yaml.safe_load((EXAMPLES / "airbyte" / "values.yaml").read_text())["global"]
    assert values["jobs"]["kube"]["mainContainerImagePullSecret"] in (ROOT / "deploying.md").read_text()
    memory = values["workloads"]["resources"]["mainContainer"]["memory"]
    assert {int(size.removesuffix("Mi")) >= 256 for size in memory.values()} == {True}


@pytest.mark.clients
def test_dagster_materializes_the_asset_and_keeps_its_state(run: Run, tmp_path: Path) -> None:
    path = f"{ROOT / '.venv/bin'}:{ROOT / '.venv-targets/bin'}:{os.environ['PATH']}"
    (tmp_path / "data").mkdir()
    ran = run(
        TOOLS / "dagster",
        *("asset", "materialize", "--select", "incident_io"),
        *("-f", EXAMPLES / "dagster" / "incident_dagster.py"),
        PATH=path,
        DAGSTER_HOME=str(tmp_path),
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "INFO alerts: 120 records" in ran.stderr + ran.stdout
    assert json.loads((tmp_path / "state.json").read_text())["bookmarks"]["alerts"]
