"""The examples are valid for the CI services, Kubernetes, Terraform and Dagster, and their syncs work."""

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
from integration_tests.support.postgres import cluster, programs
from integration_tests.support.tap import ROOT, SECONDS
from sandbox import Sandbox
from source_incident.config import Config
from source_incident.streams import STREAMS

EXAMPLES = ROOT / "examples"
TOOLS = ROOT / ".venv-examples" / "bin"
METADATA = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]

Run = Callable[..., subprocess.CompletedProcess[str]]


def document(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as a boolean; BaseLoader keeps every scalar a string.
    loaded: dict[str, Any] = yaml.load((EXAMPLES / name).read_text(), Loader=yaml.BaseLoader)  # noqa: S506
    return loaded


def commands(name: str) -> list[str]:
    """The commands in a CI service's file, in order."""
    loaded = document(name)
    if "script" in loaded.get("sync", {}):
        return list(loaded["sync"]["script"])
    steps = loaded["jobs"]["sync"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    return [run if isinstance(run, str) else run["command"] for run in runs]


@pytest.fixture
def run(tmp_path: Path, shared_sandbox: Sandbox) -> Run:
    """Runs a program in a directory that has the layout of a checkout after `examples/install.sh`."""
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
    ("schema", "file"),
    [
        ("circle-ci", EXAMPLES / "circleci.yml"),
        ("github-workflows", EXAMPLES / "github-actions.yml"),
        ("gitlab-ci", EXAMPLES / "gitlab-ci.yml"),
        ("dependabot", ROOT / ".github" / "dependabot.yml"),
        *(("github-workflows", path) for path in sorted((ROOT / ".github" / "workflows").iterdir())),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_a_ci_file_is_valid(schema: str, file: Path, run: Run) -> None:
    checked = run(TOOLS / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", file)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.clients
@pytest.mark.parametrize("name", ["circleci.yml", "github-actions.yml", "gitlab-ci.yml"])
def test_a_ci_file_installs_and_then_syncs_what_changed(
    name: str, run: Run, tmp_path: Path, shared_sandbox: Sandbox
) -> None:
    """The second run has only state.json, which the file caches. No person's name or address is in it."""
    postgresql = programs()
    if postgresql is None:
        pytest.fail("PostgreSQL is needed (Debian: apt-get install postgresql)")
    install, sync = commands(name)
    assert install == "examples/install.sh locks/postgres.lock"
    (tmp_path / "target").unlink()
    (tmp_path / "target").symlink_to(ROOT / ".venv-postgres")
    people = {user[key] for user in shared_sandbox.records("users") for key in ("name", "email") if user.get(key)}
    with cluster(postgresql) as database:
        for records in (120, 0):
            ran = run("bash", "-euo", "pipefail", "-c", sync, **database.environment)
            assert ran.returncode == 0, ran.stderr
            assert f"INFO alerts: {records} records" in ran.stderr
            state = (tmp_path / "state.json").read_text()
            assert json.loads(state)["bookmarks"]["alerts"]
            assert people
            assert [text for text in people if text in state] == []
        assert database.lines("SELECT count(*) FROM incident.alerts") == ["120"]


@pytest.mark.clients
def test_the_kubernetes_file_is_valid(run: Run) -> None:
    checked = run(TOOLS / "kubernetes-validate", "--strict", EXAMPLES / "kubernetes.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_kubernetes_job_runs_once_at_a_time_and_keeps_its_data() -> None:
    documents = list(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text()))
    by_kind = {document["kind"]: document for document in documents}
    job = by_kind["CronJob"]["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    volumes = {volume["name"]: volume for volume in job["jobTemplate"]["spec"]["template"]["spec"]["volumes"]}
    claim = volumes["data"]["persistentVolumeClaim"]["claimName"]
    assert claim == by_kind["PersistentVolumeClaim"]["metadata"]["name"]


@pytest.mark.clients
def test_the_terraform_file_has_this_connector_its_settings_and_its_streams(run: Run) -> None:
    read = run(TOOLS / "hcl2tojson", EXAMPLES / "airbyte" / "main.tf")
    assert read.returncode == 0, read.stderr
    parsed = json.loads(read.stdout.replace('\\"', ""))  # hcl2tojson keeps the quotes of HCL
    resources = {kind: block["incident"] for entry in parsed["resource"] for kind, block in entry.items()}
    # The arguments in the documentation of the provider, version 1.
    assert set(resources["airbyte_source_definition"]) - {"__is_block__"} == {
        "docker_image_tag",
        "docker_repository",
        "name",
        "workspace_id",
    }
    assert resources["airbyte_source_definition"]["docker_image_tag"] == METADATA["dockerImageTag"]
    assert resources["airbyte_source_definition"]["docker_repository"].endswith("/" + METADATA["dockerRepository"])
    [values] = parsed["locals"]
    Config.parse(values["settings"])
    names = {camel_to_snake(stream.__name__) for stream in STREAMS}
    assert {stream["name"] for stream in resources["airbyte_connection"]["configurations"]["streams"]} <= names


def test_the_airbyte_chart_gives_a_sync_enough_memory() -> None:
    """The keys are those of version 2 of the chart. The container tests limit the connector to 256 MB."""
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
