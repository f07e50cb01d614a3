"""The image with a tap and a target, as the examples for Kubernetes and Airflow start it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import duckdb
import pytest
import yaml
from docker.models.images import Image

from integration_tests.container.connector import DEFAULT_STREAMS
from integration_tests.support.sandboxes import KEY
from integration_tests.support.tap import ROOT, SECONDS
from sandbox import Sandbox

pytestmark = pytest.mark.container

EXAMPLES = ROOT / "examples"
AIRFLOW = ROOT / ".venv-examples" / "bin" / "python"
SIZES: dict[str, Any] = {"incidents": 20, "alerts": 130, "key": KEY}


@pytest.fixture(scope="module")
def account() -> Iterator[Sandbox]:
    with Sandbox(**SIZES) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def cron_job() -> dict[str, Any]:
    """The CronJob of the example for Kubernetes."""
    documents = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    job: dict[str, Any] = {document["kind"]: document for document in documents}["CronJob"]
    return job


@pytest.fixture(scope="module")
def pod(cron_job: dict[str, Any]) -> dict[str, Any]:
    """The pod that the CronJob starts."""
    spec: dict[str, Any] = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def sync_image(engine: docker.DockerClient, image: Image, pod: dict[str, Any]) -> str:
    """The image of examples/Dockerfile.sync, with the name that the CronJob pulls."""
    name: str = pod["containers"][0]["image"]
    engine.images.build(path=str(ROOT), dockerfile="examples/Dockerfile.sync", tag=name, network_mode="host", rm=True)
    return name


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory that is writable for the container's user."""
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


def count_rows(database: Path, table: str) -> int:
    with duckdb.connect(str(database), read_only=True) as tables:
        [(count,)] = tables.sql(f"select count(*) from {table}").fetchall()  # noqa: S608
        return int(count)


def test_the_kubernetes_cron_job_resumes_from_its_volume(
    engine: docker.DockerClient, sync_image: str, pod: dict[str, Any], account: Sandbox, data: Path, tmp_path: Path
) -> None:
    [container] = pod["containers"]
    restrictions = container["securityContext"]
    documents = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    [settings] = [document["data"] for document in documents if document["kind"] == "ConfigMap"]
    config = tmp_path / "config"
    config.mkdir()
    for name, text in settings.items():
        (config / name).write_text(text)
    volumes = {"data": str(data), "config": str(config)}
    mounts = [mount for mount in container["volumeMounts"] if mount["name"] in volumes]

    def run() -> None:
        engine.containers.run(
            sync_image,
            container["args"],
            environment={"INCIDENT_API_KEY": KEY, "INCIDENT_ENDPOINT": account.url},
            network_mode="host",
            user=f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}",
            read_only=restrictions["readOnlyRootFilesystem"],
            cap_drop=restrictions["capabilities"]["drop"],
            security_opt=[] if restrictions["allowPrivilegeEscalation"] else ["no-new-privileges"],
            mem_limit=container["resources"]["limits"]["memory"].replace("i", "").lower(),
            tmpfs={mount["mountPath"]: "" for mount in container["volumeMounts"] if mount["name"] == "tmp"},
            volumes=[f"{volumes[mount['name']]}:{mount['mountPath']}" for mount in mounts],
            remove=True,
        )

    run()
    pages = account.requests()["counts"]["GET /v2/alerts"]
    assert pages > 1
    assert count_rows(data / "incident.duckdb", "alerts") == SIZES["alerts"]
    assert count_rows(data / "incident.duckdb", "severities") > 0
    run()
    assert account.requests()["counts"]["GET /v2/alerts"] == pages + 1
    assert count_rows(data / "incident.duckdb", "alerts") == SIZES["alerts"]


def test_airflow_runs_a_task_per_stream_and_resumes_it(
    sync_image: str, account: Sandbox, data: Path, tmp_path: Path
) -> None:
    """Airflow parses the DAG, discovers the streams in a container, and syncs two of them twice.

    The copy of the DAG has other constants: this image, a target that is installed in it, and its files.
    """
    if not AIRFLOW.exists():
        pytest.skip("Airflow is not installed (make .venv-examples/.made installs it)")
    target = {"default_target_schema": "main", "add_metadata_columns": True, "path": "/data/incident.duckdb"}
    connection = {
        "conn_type": "generic",
        "password": KEY,
        "host": account.url,
    }
    (data / "target.json").write_text(json.dumps(target))
    (data / "target.json").chmod(0o644)
    dags = tmp_path / "dags"
    dags.mkdir()
    constants = {
        "IMAGE": sync_image,
        "TARGET": ["target-duckdb", "--config", "/data/target.json"],
        "NETWORK": "host",
        "VOLUMES": [f"{data}:/data"],
    }
    text = (EXAMPLES / "airflow" / "incident_dag.py").read_text()
    for name, value in constants.items():
        text, replaced = re.subn(rf"^({name}(?:: .*)?) = .*", rf"\1 = {value!r}", text, flags=re.MULTILINE)
        assert replaced == 1
    (dags / "incident_dag.py").write_text(text)
    results = tmp_path / "results"
    process = subprocess.run(
        [AIRFLOW, Path(__file__).with_name("run_airflow.py"), dags, results],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW_CONN_INCIDENT_IO": json.dumps(connection),
        },
        input=json.dumps({"streams": ["alerts", "severities"]}),
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    planned, *synced = (json.loads(line) for line in results.read_text().splitlines())
    assert len(planned["tasks"]) == 1 + len(DEFAULT_STREAMS)
    assert planned["variables"] == {}
    for run in synced:
        assert run["state"] == "success"
        assert run["tasks"] == [["streams", -1, "success"], ["sync", 0, "success"], ["sync", 1, "success"]]
        state = json.loads(run["variables"]["incident_state_alerts"])
        assert state["bookmarks"]["alerts"]["replication_key_value"]
    assert count_rows(data / "incident.duckdb", "alerts") == SIZES["alerts"]
    output = process.stdout + process.stderr
    first, second = re.findall(r"^INFO alerts: (\d+) records", output, re.MULTILINE)
    assert int(first) == SIZES["alerts"] > int(second)
    assert KEY not in output
