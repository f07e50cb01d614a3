"""The project in examples/meltano works with the published Meltano."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration_tests.conftest import KEY
from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Record, by_key
from integration_tests.support.tap import ROOT, SECONDS, clean_environment
from sandbox import Sandbox
from source_incident.config import SETTINGS

MELTANO = ROOT / ".venv-meltano" / "bin" / "meltano"
EXAMPLE = ROOT / "examples" / "meltano" / "meltano.yml"
SELECTED = ["incidents", "incident_updates", "follow_ups", "actions", "severities", "users"]

pytestmark = pytest.mark.clients


@dataclass(frozen=True)
class Project:
    """A copy of the example project with installed plugins."""

    directory: Path

    def run(self, *arguments: str, **settings: str) -> str:
        """Run a Meltano command and return its stdout.

        Args:
            settings: environment variables with settings of the tap or the target.
        """
        completed = subprocess.run(
            [MELTANO, "--log-level", "warning", *arguments],
            cwd=self.directory,
            env={**clean_environment(), "NO_COLOR": "1", **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
        assert completed.returncode == 0, completed.stderr.decode()[-3000:]
        return completed.stdout.decode()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    directory = tmp_path_factory.mktemp("meltano")
    text = EXAMPLE.read_text()
    assert "-e ${MELTANO_PROJECT_ROOT}/../.." in text
    (directory / "meltano.yml").write_text(text.replace("${MELTANO_PROJECT_ROOT}/../..", str(ROOT)))
    project = Project(directory)
    # Meltano installs plugins with uv; the constraints pin their dependencies
    project.run("install", "extractor", "tap-incident", UV_CONSTRAINT=str(ROOT / "locks" / "image.lock"))
    project.run("install", "loader", "target-jsonl", UV_CONSTRAINT=str(ROOT / "locks" / "singer.lock"))
    return project


def key_of(sandbox: Sandbox) -> dict[str, str]:
    return {"TAP_INCIDENT_API_KEY": sandbox.key, "TAP_INCIDENT_ENDPOINT": sandbox.url}


def test_config_set_print_list_and_test(project: Project, shared_sandbox: Sandbox) -> None:
    project.run("config", "set", "tap-incident", "incident_modes", '["standard", "retrospective"]')
    printed = project.run("config", "print", "tap-incident", **key_of(shared_sandbox))
    assert json.loads(printed)["incident_modes"] == ["standard", "retrospective"]
    listed = project.run("config", "list", "--all", "tap-incident", **key_of(shared_sandbox))
    assert all(f"{setting.name} [env: TAP_{setting.environment}]" in listed for setting in SETTINGS)
    assert KEY not in printed + listed
    assert "valid" in project.run("config", "test", "tap-incident", **key_of(shared_sandbox))


def test_discover_returns_the_catalog_of_the_tap(project: Project, shared_sandbox: Sandbox, catalog: Catalog) -> None:
    found = json.loads(project.run("invoke", "tap-incident", "--discover", **key_of(shared_sandbox)))
    assert {entry["tap_stream_id"]: entry for entry in found["streams"]} == catalog.singer


def test_run_resumes_from_the_state_in_the_meltano_backend(
    project: Project, new_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    sandbox = new_sandbox()
    project.run("select", "tap-incident", "--exclude", "users", "email")
    listed = project.run("select", "tap-incident", "--list", "--all", **key_of(sandbox))
    assert "[excluded   ] users.email" in listed
    assert "[automatic  ] users.id" in listed
    assert "[excluded   ] alerts.title" in listed

    first = run(project, sandbox, tmp_path / "first")
    account = Account(sandbox).of(SELECTED)
    assert set(first) == set(SELECTED)
    for name in SELECTED:
        assert by_key(first[name], ["id"]).keys() == by_key(account[name], ["id"]).keys()
    assert not any("email" in user for user in first["users"])
    requests = sandbox.requests(log=False)["total"]
    state = json.loads(project.run("state", "get", "dev:tap-incident-to-target-jsonl"))["singer_state"]
    assert set(state["bookmarks"]) == set(SELECTED)

    changed = {**account["follow_ups"][0], "title": "changed", "updated_at": datetime.now(UTC).isoformat()}
    sandbox.put("follow_ups", [changed])
    sandbox.reset()
    second = run(project, sandbox, tmp_path / "second")
    assert [row["title"] for row in second["follow_ups"] if row["id"] == changed["id"]] == ["changed"]
    assert len(second["follow_ups"]) < len(first["follow_ups"]) / 4
    assert len(second.get("incidents", [])) < len(first["incidents"]) / 4
    assert len(second["severities"]) == len(first["severities"])
    assert sandbox.requests(log=False)["total"] < requests / 4


def run(project: Project, sandbox: Sandbox, directory: Path) -> dict[str, list[Record]]:
    """The records that one `meltano run` writes, by stream."""
    directory.mkdir()
    project.run(
        "run",
        "tap-incident",
        "target-jsonl",
        **key_of(sandbox),
        TARGET_JSONL_DESTINATION_PATH=str(directory),
        TARGET_JSONL_DO_TIMESTAMP_FILE="false",
    )
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in directory.glob("*.jsonl")
    }
