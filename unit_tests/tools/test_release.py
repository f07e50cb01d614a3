"""A release: which versions there can be, and where they are written."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import release
from tools.document import ROOT

DAY = datetime.date(2027, 1, 2)
FILES = ["setup.py", "metadata.yaml", "Dockerfile", "README.md", "deploying.md", "CHANGELOG.md"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the files of this one that say a version."""
    for name in [*FILES, *(str(path.relative_to(ROOT)) for path in (ROOT / "examples").iterdir() if path.is_file())]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_the_version_is_written_wherever_it_stands(checkout: Path) -> None:
    old, new = release.present(), "77.88.99"
    assert release.bump(checkout, old, new) == []
    assert f'version="{new}"' in (checkout / "setup.py").read_text()
    assert f"dockerImageTag: {new}\n" in (checkout / "metadata.yaml").read_text()
    assert (checkout / "Dockerfile").read_text().count(f'version="{new}"') == 2
    assert f"source-incident:{new} AS tap" in (checkout / "examples" / "Dockerfile.sync").read_text()
    for name in ("README.md", "deploying.md"):
        assert f":{new}" in (checkout / name).read_text()
        assert f":{old}" not in (checkout / name).read_text()
    assert (checkout / "CHANGELOG.md").read_text() == (ROOT / "CHANGELOG.md").read_text()


def test_what_may_be_the_version_or_not_is_left_and_told(checkout: Path) -> None:
    readme, old = checkout / "README.md", release.present()
    readme.write_text(f"Since {old}.\nNot 1{old} and not {old}.1, a source-incident:{old}\n")
    assert release.bump(checkout, old, "77.88.99") == [f"README.md:1: Since {old}."]
    assert readme.read_text().endswith("a source-incident:77.88.99\n")


def test_a_file_that_does_not_say_the_version_ends_it(checkout: Path) -> None:
    (checkout / "metadata.yaml").write_text("data: {}\n")
    with pytest.raises(release.ReleaseError, match=r"metadata\.yaml"):
        release.bump(checkout, release.present(), "77.88.99")


@pytest.mark.parametrize("heading", ["## [Unreleased]", "## [0.2.0] - Unreleased"])
def test_what_is_unreleased_gets_the_version_and_the_day(heading: str) -> None:
    before = f"# Changelog\n\n{heading}\n\n### Added\n\n- This.\n\n## [0.1.0] - 2026-12-01\n\n- That.\n"
    assert release.dated(before, "0.2.0", DAY) == (
        "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-02\n\n### Added\n\n- This.\n\n"
        "## [0.1.0] - 2026-12-01\n\n- That.\n"
    )


@pytest.mark.parametrize(
    "changelog", ["# Changelog\n", "## [Unreleased]\n\n### Added\n\n## [0.1.0] - 2026-12-01\n\n- That.\n"]
)
def test_without_a_change_there_is_no_release(changelog: str) -> None:
    with pytest.raises(release.ReleaseError, match="Unreleased"):
        release.dated(changelog, "0.2.0", DAY)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.0.1", "before"),
        ("1.2", "form"),
        ("v1.2.3", "form"),
        ("1.2.3rc1", "form"),
        ("1.2.3.post1", "form"),
        ("one", "no version"),
    ],
)
def test_other_versions_end_in_one_line(version: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["--dry-run", version]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
