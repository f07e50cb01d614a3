"""The GitHub workflows and issue forms are valid and run the right targets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


def load(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as a boolean; BaseLoader reads every scalar as a string
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    return loaded


def commands(workflow: dict[str, Any]) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job.get("steps", []) if "run" in step]


def actions(workflow: dict[str, Any], job: str) -> dict[str, dict[str, str]]:
    """The inputs of each action in a job, by the action's name without its version."""
    steps = workflow["jobs"][job]["steps"]
    return {step["uses"].partition("@")[0]: step.get("with", {}) for step in steps if "uses" in step}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_sets_permissions_runners_and_timeouts(path: Path) -> None:
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


def test_ci_tests_every_supported_python() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "ci.yml")
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert any(command.startswith("make test") for command in commands(workflow))
    assert any("tools.contract" in command for command in commands(workflow))


def test_ci_fetches_the_commits_that_lint_checks() -> None:
    checkout = actions(load(ROOT / ".github" / "workflows" / "ci.yml"), "test")["actions/checkout"]
    assert checkout["fetch-depth"] == "0"


def test_compares_the_newest_document_weekly() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "contract.yml")
    (schedule,) = workflow["on"]["schedule"]
    *_, day, month, weekday = schedule["cron"].split()
    assert (day, month) == ("*", "*")
    assert weekday.isdigit()
    assert any(command.startswith("make contract") for command in commands(workflow))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "tools.contract --newest" in makefile


def test_audits_dependencies_weekly_and_when_a_lock_changes() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "supply-chain.yml")
    (schedule,) = workflow["on"]["schedule"]
    assert schedule["cron"].split()[4].isdigit()
    assert workflow["on"]["pull_request"]["paths"] == ["locks/**"]
    assert commands(workflow) == ["make audit PYTHON=python", "make licences PYTHON=python"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pip-audit --strict --disable-pip --require-hashes --requirement locks/image.lock" in makefile


def test_workflows_run_only_existing_make_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {
        target
        for path in WORKFLOWS
        for command in commands(load(path))
        for target in re.findall(r"make (?:-s )?([a-z-]+)", command)
    }
    assert {"test", "audit", "dist", "notes", "version"} <= used
    assert used <= targets


def test_release_is_tested_signed_and_built_for_both_architectures() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "release.yml")
    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    jobs = workflow["jobs"]
    assert "workflow_call" in load(ROOT / jobs["test"]["uses"])["on"]
    for job in ("pypi", "image"):
        assert set(jobs[job]["needs"]) == {"test", "build"}
        assert jobs[job]["permissions"]["id-token"] == "write"
    pypi = actions(workflow, "pypi")["pypa/gh-action-pypi-publish"]
    assert "password" not in pypi, "trusted publishing needs no password"
    pushed = actions(workflow, "image")["docker/build-push-action"]
    assert pushed["platforms"] == "linux/amd64,linux/arm64"
    assert (pushed["provenance"], pushed["sbom"], pushed["push"]) == ("mode=max", "true", "true")
    assert "actions/attest-build-provenance" in actions(workflow, "image")
    assert any("make -s version" in command for command in commands(workflow)), "compares the tag with the version"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_form_has_at_most_five_labelled_fields(path: Path) -> None:
    form = load(path)
    assert form["name"]
    assert form["description"]
    fields = [item for item in form["body"] if item["type"] != "markdown"]
    assert all(item["attributes"]["label"] for item in fields)
    assert len({item["id"] for item in fields}) == len(fields) <= 5


def test_bug_form_warns_about_keys_and_requests_the_version() -> None:
    form = load(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml")
    warning = form["body"][0]["attributes"]["value"]
    assert "API key" in warning
    assert "SECURITY.md" in warning
    assert any("tap-incident --version" in item["attributes"].get("description", "") for item in form["body"])
