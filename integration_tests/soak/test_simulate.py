"""The simulation of random accounts, as its users run it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from integration_tests.soak.planted_bugs import BUGS, REPOSITORY, PlantedBug, catches


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "integration_tests.soak.simulate", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_two_hundred_accounts_lose_nothing() -> None:
    run = simulate("--accounts", "200", "--seed", "11")
    assert run.returncode == 0, run.stdout
    assert re.match(r"200 accounts, 0 failed; ", run.stdout)


def test_a_seed_replays_exactly() -> None:
    runs = [simulate("--seed", "5", "--account", "3", "--trace") for _ in range(2)]
    assert runs[0].returncode == 0
    lines = [[line for line in run.stdout.splitlines() if not line.endswith(" s")] for run in runs]
    assert len(lines[0]) > 50
    assert lines[0] == lines[1]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_still_fits_the_engine(bug: PlantedBug, tmp_path: Path) -> None:
    package = tmp_path / "source_incident"
    shutil.copytree(REPOSITORY / "source_incident", package, ignore=shutil.ignore_patterns("__pycache__"))
    bug.apply(package)


def test_a_planted_bug_is_caught() -> None:
    bugs = tuple(bug for bug in BUGS if bug.name == "no pass over open incidents")
    (catch,) = catches(bugs, runs=1, accounts=200)
    assert len(catch.accounts) == 1
