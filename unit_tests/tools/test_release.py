"""Creating a release: valid versions, replaced versions and the changelog."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import release
from tools.generated import ROOT

DAY = datetime.date(2027, 1, 2)
FILES = ["setup.py", "metadata.yaml", "Dockerfile", "README.md", "deploying.md", "docs/docker.md", "CHANGELOG.md"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with copies of the files that contain the version."""
    for name in [*FILES, *(str(path.relative_to(ROOT)) for path in (ROOT / "examples").iterdir() if path.is_file())]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_bump_replaces_the_version_in_every_file(checkout: Path) -> None:
    old, new = release.current_version(), "77.88.99"
    assert release.bump(checkout, old, new) == []
    assert f'version="{new}"' in (checkout / "setup.py").read_text()
    assert f"dockerImageTag: {new}\n" in (checkout / "metadata.yaml").read_text()
    assert (checkout / "Dockerfile").read_text().count(f'version="{new}"') == 2
    assert f"FROM tap-incident:{new}\n" in (checkout / "examples" / "Dockerfile.sync").read_text()
    for name in ("README.md", "deploying.md", "docs/docker.md"):
        assert f":{new}" in (checkout / name).read_text()
        assert f":{old}" not in (checkout / name).read_text()
    assert (checkout / "CHANGELOG.md").read_text() == (ROOT / "CHANGELOG.md").read_text()


def test_bump_reports_other_uses_of_the_version_and_keeps_them(checkout: Path) -> None:
    readme, old = checkout / "README.md", release.current_version()
    readme.write_text(f"Since {old}.\nNot 1{old} and not {old}.1, a tap-incident:{old}\n")
    assert release.bump(checkout, old, "77.88.99") == [f"README.md:1: Since {old}."]
    assert readme.read_text().endswith("a tap-incident:77.88.99\n")


def test_bump_fails_if_a_required_file_lacks_the_version(checkout: Path) -> None:
    (checkout / "metadata.yaml").write_text("data: {}\n")
    with pytest.raises(release.ReleaseError, match=r"metadata\.yaml"):
        release.bump(checkout, release.current_version(), "77.88.99")


@pytest.mark.parametrize("heading", ["## [Unreleased]", "## [0.2.0] - Unreleased"])
def test_unreleased_entries_get_the_version_and_the_date(heading: str) -> None:
    before = f"# Changelog\n\n{heading}\n\n### Added\n\n- This.\n\n## [0.1.0] - 2026-12-01\n\n- That.\n"
    assert release.dated(before, "0.2.0", DAY) == (
        "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-02\n\n### Added\n\n- This.\n\n"
        "## [0.1.0] - 2026-12-01\n\n- That.\n"
    )


@pytest.mark.parametrize(
    "changelog", ["# Changelog\n", "## [Unreleased]\n\n### Added\n\n## [0.1.0] - 2026-12-01\n\n- That.\n"]
)
def test_changelog_without_unreleased_entries_is_rejected(changelog: str) -> None:
    with pytest.raises(release.ReleaseError, match="Unreleased"):
        release.dated(changelog, "0.2.0", DAY)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("0.0.1", "older"),
        ("1.2", "form"),
        ("v1.2.3", "form"),
        ("1.2.3rc1", "form"),
        ("1.2.3.post1", "form"),
        ("one", "not a version"),
    ],
)
def test_reports_an_invalid_version_in_one_line(version: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["--dry-run", version]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
