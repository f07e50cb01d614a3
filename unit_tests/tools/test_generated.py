"""Writing and checking generated files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import generated


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(generated, "ROOT", tmp_path)
    return tmp_path


def test_writes_stale_and_missing_files_and_deletes_obsolete_ones(root: Path) -> None:
    (root / "stale").write_text("old")
    (root / "obsolete").write_text("old")
    files = {root / "stale": "new", root / "folder" / "missing": "new"}
    assert generated.update(files, obsolete=[root / "obsolete"], check=False) == 0
    assert {path: path.read_text() for path in files} == files
    assert not (root / "obsolete").exists()
    assert generated.update(files, check=True) == 0


def test_check_reports_each_file_and_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "stale").write_text("old")
    (root / "obsolete").write_text("old")
    files = {root / "stale": "new", root / "missing": "new"}
    assert generated.update(files, obsolete=[root / "obsolete"], check=True) == 1
    assert capsys.readouterr().err.splitlines() == [
        "stale is not current",
        "missing is not current",
        "obsolete is obsolete",
    ]
    assert (root / "stale").read_text() == (root / "obsolete").read_text() == "old"
    assert not (root / "missing").exists()
