"""The workflows parse, and run what they are there for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as a boolean; BaseLoader leaves every scalar a text
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    return loaded


def commands(workflow: dict[str, Any]) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_all_it_needs(path: Path) -> None:
    workflow = load(path)
    assert workflow["on"]
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert int(job["timeout-minutes"]) > 0
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])


def test_every_supported_python_is_tested() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "ci.yml")
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert any(command.startswith("make test") for command in commands(workflow))
    assert any("tools.contract" in command for command in commands(workflow))


def test_the_newest_document_is_compared_weekly() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "contract.yml")
    (when,) = workflow["on"]["schedule"]
    *_, day, month, weekday = when["cron"].split()
    assert (day, month) == ("*", "*")
    assert weekday.isdigit()
    assert any(command.startswith("make contract") for command in commands(workflow))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "tools.contract --newest" in makefile


def test_the_supply_is_looked_at_weekly_and_where_a_lock_changes() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "supply.yml")
    (when,) = workflow["on"]["schedule"]
    assert when["cron"].split()[4].isdigit()
    assert workflow["on"]["pull_request"]["paths"] == ["requirements*"]
    assert commands(workflow) == ["make audit PYTHON=python", "make licences PYTHON=python"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock" in makefile
