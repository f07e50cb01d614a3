"""The workflows parse, and run what they are there for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


def load(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as a boolean; BaseLoader leaves every scalar a text
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    return loaded


def commands(workflow: dict[str, Any]) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job.get("steps", []) if "run" in step]


def actions(workflow: dict[str, Any], job: str) -> dict[str, dict[str, str]]:
    """What a job uses, without the versions, each with its inputs."""
    steps = workflow["jobs"][job]["steps"]
    return {step["uses"].partition("@")[0]: step.get("with", {}) for step in steps if "uses" in step}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_all_it_needs(path: Path) -> None:
    workflow = load(path)
    assert workflow["on"]
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        if called := job.get("uses"):
            assert (ROOT / called).is_file()
            continue
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


def test_a_workflow_runs_only_targets_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for path in WORKFLOWS
        for command in commands(load(path))
        for target in re.findall(r"make (?:-s )?([a-z-]+)", command)
    }
    assert {"test", "audit", "dist", "notes", "version"} <= named
    assert named <= targets


def test_a_release_is_tested_signed_and_for_both_architectures() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "release.yml")
    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    jobs = workflow["jobs"]
    assert "workflow_call" in load(ROOT / jobs["test"]["uses"])["on"]
    for job in ("pypi", "image"):
        assert set(jobs[job]["needs"]) == {"test", "build"}
        assert jobs[job]["permissions"]["id-token"] == "write"
    assert "password" not in actions(workflow, "pypi")["pypa/gh-action-pypi-publish"], "trusted publishing needs none"
    pushed = actions(workflow, "image")["docker/build-push-action"]
    assert pushed["platforms"] == "linux/amd64,linux/arm64"
    assert (pushed["provenance"], pushed["sbom"], pushed["push"]) == ("mode=max", "true", "true")
    assert "actions/attest-build-provenance" in actions(workflow, "image")
    assert any("make -s version" in command for command in commands(workflow)), "the tag is the version"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_an_issue_template_is_a_short_form(path: Path) -> None:
    form = load(path)
    assert form["name"]
    assert form["description"]
    fields = [item for item in form["body"] if item["type"] != "markdown"]
    assert all(item["attributes"]["label"] for item in fields)
    assert len({item["id"] for item in fields}) == len(fields) <= 5


def test_the_form_for_faults_warns_of_keys_and_asks_for_the_version() -> None:
    form = load(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml")
    warning = form["body"][0]["attributes"]["value"]
    assert "API key" in warning
    assert "SECURITY.md" in warning
    assert any("tap-incident --version" in item["attributes"].get("description", "") for item in form["body"])
