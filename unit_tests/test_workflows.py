"""The GitHub workflows and issue forms are valid and run the right targets."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RECIPE = ROOT / "examples" / "github-actions.yml"
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


def make(target: str) -> str:
    """What a target of the Makefile prints."""
    return subprocess.run(["make", "-s", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=name", "-c", "user.email=name@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, check=True)


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


@pytest.mark.parametrize("path", [*WORKFLOWS, RECIPE], ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_name_their_version(path: Path) -> None:
    uses = re.findall(r"^ *(?:- )?uses: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    others = [use for use in uses if not use.startswith("./")]
    assert others
    assert [use for use in others if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_an_action_has_the_same_commit_everywhere() -> None:
    commits: dict[str, set[str]] = {}
    for path in [*WORKFLOWS, RECIPE]:
        for name, commit in re.findall(r"uses: ([\w.-]+/[\w.-]+)\S*@(\S+)", path.read_text(encoding="utf-8")):
            commits.setdefault(name, set()).add(commit)
    assert {name: found for name, found in commits.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", [*WORKFLOWS, RECIPE], ids=lambda path: path.name)
def test_checkouts_keep_no_credentials(path: Path) -> None:
    for job in load(path)["jobs"].values():
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] == "false"


def test_dependabot_waits_before_it_updates_actions_pip_docker_and_npm() -> None:
    updates = load(ROOT / ".github" / "dependabot.yml")["updates"]
    directories = {update["package-ecosystem"]: update["directory"] for update in updates}
    assert directories == {
        "github-actions": "/",
        "pip": "/",
        "docker": "/locks",
        "npm": "/integration_tests/prism",
    }
    assert (ROOT / "integration_tests" / "prism" / "package-lock.json").is_file()
    for update in updates:
        assert int(update["cooldown"]["default-days"]) >= 7
        assert update["schedule"]["interval"] == "weekly"


def test_locks_are_updated_weekly_without_the_permission_to_push() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "locks.yml")
    (schedule,) = workflow["on"]["schedule"]
    assert schedule["cron"].split()[4].isdigit()
    lock, propose = workflow["jobs"]["lock"], workflow["jobs"]["propose"]
    assert "permissions" not in lock
    assert any(step.get("run", "").startswith("make lock") for step in lock["steps"])
    assert propose["needs"] == "lock"
    assert not any("make" in step.get("run", "") for step in propose["steps"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^COMPILE := (.*\\\n)*.*--exclude-newer \"\$\(COOLDOWN\)\"", makefile, re.MULTILINE)
    assert re.search(r"^COOLDOWN \?= ([7-9]|\d\d+) days$", makefile, re.MULTILINE)


def test_the_base_image_is_pinned_by_digest_where_dependabot_updates_it() -> None:
    pinned = make("pinned-base").strip()
    assert f"\nFROM {pinned}\n" in (ROOT / "locks" / "base.Dockerfile").read_text(encoding="utf-8")
    tag, _, digest = pinned.partition("@")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    for dockerfile in ("Dockerfile", "examples/Dockerfile.sync"):
        text = (ROOT / dockerfile).read_text(encoding="utf-8")
        assert f"\nARG BASE_IMAGE={tag}\n" in text, "builds without a registry take a local image of this name"
        assert not re.search(r"^FROM python", text, re.MULTILINE)


def test_ci_and_releases_build_on_the_pinned_base_image() -> None:
    for workflow, job in (("ci", "container"), ("supply-chain", "scan")):
        steps = load(ROOT / ".github" / "workflows" / f"{workflow}.yml")["jobs"][job]["steps"]
        runs = [step["run"] for step in steps if "run" in step]
        assert runs.index("make base") < min(runs.index(run) for run in runs if re.match("make (image|container)", run))
    steps = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["image"]["steps"]
    [names] = [step for step in steps if step.get("id") == "names"]
    assert 'echo "base=$(make -s pinned-base)" >>"$GITHUB_OUTPUT"' in names["run"]
    [push] = [step for step in steps if step.get("id") == "push"]
    assert push["with"]["build-args"] == "BASE_IMAGE=${{ steps.names.outputs.base }}"


def test_uv_is_installed_with_hashes() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [install] = [line for line in makefile.splitlines() if " -m pip install" in line]
    assert "--require-hashes --only-binary :all: -r locks/uv.lock" in install
    assert re.search(r"^uv==\S+ \\$", (ROOT / "locks" / "uv.lock").read_text(encoding="utf-8"), re.MULTILINE)


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
    assert {"make audit PYTHON=python", "make licences PYTHON=python"} <= set(commands(workflow))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pip-audit --strict --disable-pip --require-hashes --requirement locks/image.lock" in makefile


def test_scans_the_packages_of_the_image_weekly() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "supply-chain.yml")
    scan = actions(workflow, "scan")["anchore/scan-action"]
    assert scan["image"] == "tap-incident:latest"
    assert scan["severity-cutoff"] == "high"
    assert "fail-build" not in scan, "it fails by default"


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
    assert any("make -s version" in command for command in commands(workflow)), "compares the tag with the version"


def test_release_publishes_in_the_protected_environment() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert {name: job.get("environment") for name, job in jobs.items() if "id-token" in job.get("permissions", {})} == {
        "pypi": "release",
        "image": "release",
    }


def test_release_refuses_a_tag_that_is_not_on_main(tmp_path: Path) -> None:
    jobs = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert "build" in jobs["image"]["needs"]
    steps = jobs["build"]["steps"]
    [guard] = [step["run"] for step in steps if step.get("name") == "Refuse a tag that is not on main"]
    checkout = steps[0]["with"]
    assert checkout["fetch-depth"] == "0"
    upstream, clone = tmp_path / "upstream", tmp_path / "clone"
    upstream.mkdir()
    git(upstream, "init", "--initial-branch", "main")
    git(upstream, "commit", "--allow-empty", "--message", "First")
    git(upstream, "tag", "--annotate", "v1.0.0", "--message", "Release")
    git(upstream, "commit", "--allow-empty", "--message", "Second")
    git(upstream, "switch", "--create", "other")
    git(upstream, "commit", "--allow-empty", "--message", "Third")
    git(upstream, "tag", "--annotate", "v2.0.0", "--message", "Release")
    git(tmp_path, "clone", str(upstream), str(clone))
    for tag, is_allowed in (("v1.0.0", True), ("v2.0.0", False)):
        git(clone, "checkout", tag)
        assert (subprocess.run(["bash", "-ec", guard], cwd=clone, check=False).returncode == 0) == is_allowed


def test_release_signs_provenance_and_the_sbom_of_each_architecture() -> None:
    steps = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["image"]["steps"]
    attested = [step["with"] for step in steps if step.get("uses", "").startswith("actions/attest@")]
    assert [inputs.get("sbom-path") for inputs in attested] == [None, "amd64.spdx.json", "arm64.spdx.json"]
    for inputs in attested:
        assert inputs["subject-name"] == "${{ steps.names.outputs.image }}"
        assert inputs["subject-digest"] == "${{ steps.push.outputs.digest }}"
        assert inputs["push-to-registry"] == "true"
    [sboms] = [step["run"] for step in steps if "imagetools" in step.get("run", "")]
    assert "for architecture in amd64 arm64" in sboms


def test_release_verifies_the_image_with_the_documented_commands() -> None:
    """Only the tag and the names of variables differ."""
    document = (ROOT / "README.md").read_text(encoding="utf-8")
    documented = re.findall(r"^gh attestation verify (?:.*\\\n)*.*", document, re.MULTILINE)
    steps = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["image"]["steps"]
    [run] = [step["run"] for step in steps if "gh attestation" in step.get("run", "")]
    in_release = re.findall(r"^gh attestation verify (?:.*\\\n)*.*", run, re.MULTILINE)
    version = make("version").strip()
    assert [command.replace(f"$IMAGE:{version}", "$IMAGE") for command in documented] == [
        command.replace("$GITHUB_REPOSITORY", "$REPOSITORY") for command in in_release
    ]
    assert len(documented) == 2
    assert "--predicate-type https://spdx.dev/Document/" in documented[1]


def test_the_registry_is_a_variable_and_the_image_has_one_name(tmp_path: Path) -> None:
    job = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["image"]
    assert job["env"]["REGISTRY"].startswith("${{ vars.REGISTRY ||")
    [names] = [step["run"] for step in job["steps"] if step.get("id") == "names"]
    output = tmp_path / "output"
    environment = {"REGISTRY": "registry.example.com", "NAMESPACE": "Some-Owner", "GITHUB_OUTPUT": str(output)}
    subprocess.run(["bash", "-ec", names], cwd=ROOT, env={"PATH": os.environ["PATH"], **environment}, check=True)
    values = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert values["image"] == "registry.example.com/some-owner/tap-incident"
    assert values["version"] == make("version").strip()


def test_release_has_the_constraints_of_pip() -> None:
    runs = commands(load(ROOT / ".github" / "workflows" / "release.yml"))
    assert "make -s constraints > constraints.txt" in runs
    assert any(run.startswith("gh release create") and run.endswith(" constraints.txt") for run in runs)


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
