"""The commands in the documents work, run in order in a copy of this repository."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from integration_tests.conftest import KEY
from integration_tests.docs.commands import NOT_RUN, commands, runnable
from integration_tests.docs.markdown import DOCUMENTS, blocks
from integration_tests.support.postgres import cluster, programs
from integration_tests.support.tap import ROOT, SECONDS, clean_environment
from sandbox import Sandbox

RUN = {"README.md", "deploying.md", "docs/singer.md"}
Follow = Callable[..., str]


def test_every_exception_is_used_and_every_document_with_commands_is_run() -> None:
    found = list(commands())
    assert [pattern for pattern in NOT_RUN if not any(command.like(pattern) for command in found)] == []
    assert {document for document in DOCUMENTS if runnable(document)} == RUN


@pytest.mark.parametrize("document", DOCUMENTS)
def test_json_blocks_are_valid_json(document: str) -> None:
    for block in blocks(document):
        if block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_in_documents_exist(document: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)", (ROOT / document).read_text())) <= set(targets)


@pytest.fixture
def checkout(tmp_path: Path, shared_sandbox: Sandbox) -> Path:
    """A copy of the files that git tracks, with a config for the mock API.

    Untracked files stay behind, such as the environments that the README's commands make.
    """
    directory = tmp_path / "checkout"
    listed = ["git", "ls-files", "--cached"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
    settings = {"api_key": KEY, "endpoint": shared_sandbox.url}
    (directory / "config.json").write_text(json.dumps(settings))
    # Few streams, for speed.
    entries = [{"tap_stream_id": name} for name in ("incidents", "severities", "alerts")]
    (directory / "few.json").write_text(json.dumps({"streams": entries}))
    return directory


@pytest.fixture
def follow(checkout: Path, shared_sandbox: Sandbox) -> Follow:
    """Runs the commands of a document in one shell, which stops at the first failure; returns its stdout."""

    def run(document: str, *path: Path, **environment: str) -> str:
        script = "\n".join(command.text for command in runnable(document))
        base = clean_environment()
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", script],
            cwd=checkout,
            env={
                **base,
                "PATH": ":".join([*map(str, path), base["PATH"]]),
                "INCIDENT_API_KEY": KEY,
                "INCIDENT_ENDPOINT": shared_sandbox.url,
                "TAP_CATALOG": str(checkout / "few.json"),
                "PIP_NO_COMPILE": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.mark.clients
def test_the_readmes_first_sync_loads_postgresql(follow: Follow, checkout: Path, shared_sandbox: Sandbox) -> None:
    postgresql = programs()
    if postgresql is None:
        pytest.fail("PostgreSQL is needed (Debian: apt-get install postgresql)")
    with cluster(postgresql) as database:
        database.lines("CREATE DATABASE warehouse")
        printed = follow("README.md", postgresql, PGPORT=str(database.port))
    newest = sorted(shared_sandbox.records("incidents"), key=lambda record: record["created_at"])[-1]
    assert newest["reference"] in printed
    assert json.loads((checkout / "state.json").read_text())["bookmarks"]


@pytest.mark.clients
def test_the_singer_page_syncs_into_a_target(follow: Follow, checkout: Path) -> None:
    follow("docs/singer.md", ROOT / ".venv" / "bin", ROOT / ".venv-singer" / "bin")
    assert json.loads((checkout / "state.json").read_text())["bookmarks"]["alerts"]
    assert list(checkout.glob("incidents*.jsonl"))


def test_the_deployment_guide_syncs_into_duckdb(follow: Follow, checkout: Path) -> None:
    (checkout / "tap").symlink_to(ROOT / ".venv")
    (checkout / "target").symlink_to(ROOT / ".venv-targets")
    follow("deploying.md")
    assert (checkout / "data" / "incident.duckdb").exists()
    assert json.loads((checkout / "data" / "state.json").read_text())["bookmarks"]["alerts"]
