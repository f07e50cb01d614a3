"""The check of commit subjects."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import commits


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    return tmp_path


def git(repository: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    ran = subprocess.run(["git", *identity, *arguments], cwd=repository, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def commit(repository: Path, subject: str) -> str:
    git(repository, "commit", "--quiet", "--allow-empty", "--message", f"{subject}\n\n{'A long body. ' * 20}")
    return git(repository, "rev-parse", "HEAD")


def test_reports_subjects_over_72_characters_after_the_base(repository: Path) -> None:
    base = commit(repository, "An old subject " * 8)
    commit(repository, "x" * 72)
    assert commits.long_subjects(repository, base) == []
    commit(repository, "y" * 73)
    (line,) = commits.long_subjects(repository, base)
    assert line.endswith(" " + "y" * 73)


def test_ignores_merge_commits(repository: Path) -> None:
    base = commit(repository, "Base")
    commit(repository, f"Merge {'1' * 40} into {'2' * 40}")
    assert commits.long_subjects(repository, base) == []


def test_checks_every_commit_of_a_clone_without_the_base(repository: Path, tmp_path: Path) -> None:
    base = commit(repository, "Base")
    commit(repository, "z" * 73)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", str(clone))
    assert len(commits.long_subjects(clone, base)) == 1


def test_reports_a_missing_repository_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commits, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commits.main() == 0
    assert "not checked" in capsys.readouterr().err


def test_reports_a_long_subject_and_fails(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(repository, "z" * 73)
    monkeypatch.setattr(commits, "ROOT", repository)
    assert commits.main() == 1
    assert "z" * 73 in capsys.readouterr().err
