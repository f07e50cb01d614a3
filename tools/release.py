"""Cut a release: the version wherever it stands, the quick part of the gate, the packages, a commit and a tag.

    python -m tools.release VERSION [--dry-run]

All of it happens in a worktree of its own beside this one, from the last commit: what fails leaves nothing
behind. Only at the end does the branch move to the new commit, and get its tag; `--dry-run` stops before. What
is left to do is to push both, which starts `.github/workflows/release.yml`.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.version import InvalidVersion, Version

from tools.document import ROOT

QUICK = ("lint", "types", "imports", "unit")
# These must say the version; the documents and examples that name an image do too.
SAY_IT = {"setup.py", "metadata.yaml", "Dockerfile"}
BEFORE_IT = (
    'version="',
    "dockerImageTag: ",
    r'docker_image_tag *= "',
    r"Docker image tag \| `",
    "source-incident:",
    "incident-sync:",
)
HISTORY = ("CHANGELOG.md", "*.lock", "*lock.json", "*.svg", "unit_tests/*")

_UNRELEASED = re.compile(r"^## \[(?:Unreleased\]|[^]\n]*\] - Unreleased)$\n(?P<entries>.*?)(?=^## \[|\Z)", re.M | re.S)


class ReleaseError(Exception):
    """There can be no release. The message says why, in one line."""


def present() -> str:
    """The version that is here."""
    (version,) = re.findall(r'version="([^"]+)"', (ROOT / "setup.py").read_text(encoding="utf-8"))
    return str(version)


def bump(root: Path, old: str, new: str) -> list[str]:
    """Writes the new version wherever the files of a checkout say the old one as this project's.

    Returns:
        The lines, as `file:line: text`, that still have the old version and may mean another thing by it.

    Raises:
        ReleaseError: a file that must say the version does not.
    """
    version = rf"{re.escape(old)}(?!\w|\.\d)"
    place, other = re.compile(rf"({'|'.join(BEFORE_IT)}){version}"), re.compile(rf"(?<![\w.]){version}")
    said, left = set(), []
    for name in _git(root, "ls-files", "--", ".", *(f":!{pattern}" for pattern in HISTORY)).splitlines():
        try:
            text = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        changed, places = place.subn(rf"\g<1>{new}", text)
        if places:
            said.add(name)
            (root / name).write_text(changed, encoding="utf-8")
        if old != new:
            left += [f"{name}:{n}: {line}" for n, line in enumerate(changed.splitlines(), 1) if other.search(line)]
    if missing := SAY_IT - said:
        raise ReleaseError(f"{', '.join(sorted(missing))}: does not say version {old}")
    return left


def dated(changelog: str, version: str, day: datetime.date) -> str:
    """The changelog with what is unreleased under this version and day, and an empty place for what comes next.

    Raises:
        ReleaseError: nothing is unreleased.
    """
    found = _UNRELEASED.search(changelog)
    if found is None or not re.search(r"^- ", found["entries"], re.M):
        raise ReleaseError("CHANGELOG.md: nothing stands under Unreleased")
    heading = f"## [Unreleased]\n\n## [{version}] - {day.isoformat()}\n"
    return changelog[: found.start()] + heading + found["entries"] + changelog[found.end() :]


def release(version: str, *, dry_run: bool) -> None:
    """Makes the release of the commit that is checked out here.

    Raises:
        ReleaseError: the version, the tree or a step does not allow it.
    """
    old = present()
    _allowed(old, version)
    with _worktree() as root:
        left = bump(root, old, version)
        changelog = root / "CHANGELOG.md"
        changelog.write_text(
            dated(changelog.read_text(encoding="utf-8"), version, datetime.datetime.now(datetime.UTC).date()),
            encoding="utf-8",
        )
        print(_git(root, "diff", "--stat"), end="")
        for line in left:
            print(f"still says {old}, look whether it should: {line}")
        for target in (*QUICK, "dist"):
            print(f"make {target}", flush=True)
            _run(root, "make", target)
        _try(root, version)
        _git(root, "commit", "--quiet", "--all", "--message", f"Release {version}")
        commit = _git(root, "rev-parse", "HEAD").strip()
        packages = sorted((root / "dist").iterdir())
        print("\n".join(f"{package.name}  {package.stat().st_size:,} bytes" for package in packages))
        if dry_run:
            print(f"All of it works. Nothing has changed here: make release VERSION={version} does it.")
            return
        shutil.copytree(root / "dist", ROOT / "dist", dirs_exist_ok=True)
    _git(ROOT, "merge", "--quiet", "--ff-only", commit)
    _git(ROOT, "tag", "--annotate", f"v{version}", "--message", f"Release {version}", commit)
    branch = _git(ROOT, "rev-parse", "--abbrev-ref", "HEAD").strip()
    print(f"Released here. For everybody: git push --atomic origin {branch} v{version}")


def main(arguments: list[str] | None = None) -> int:
    """Runs it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("version", help="the new version, as 1.2.3")
    parser.add_argument("--dry-run", action="store_true", help="all but moving the branch and making the tag")
    options = parser.parse_args(arguments)
    try:
        release(options.version, dry_run=options.dry_run)
    except ReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    return 0


def _allowed(old: str, new: str) -> None:
    try:
        wanted = Version(new)
    except InvalidVersion:
        raise ReleaseError(f"{new} is no version; 1.2.3 is one") from None
    if str(wanted) != new or len(wanted.release) != 3 or wanted.is_prerelease or wanted.is_postrelease or wanted.local:
        raise ReleaseError(f"{new} is not of the form 1.2.3")
    if wanted < Version(old):
        raise ReleaseError(f"{new} comes before {old}")
    if _git(ROOT, "tag", "--list", f"v{new}"):
        raise ReleaseError(f"there is a tag v{new} already")
    if _git(ROOT, "status", "--porcelain"):
        raise ReleaseError("the working tree has changes that are not committed: git status")


def _try(root: Path, version: str) -> None:
    """Installs the wheel with the locked packages where nothing else is, and asks it for its version and spec."""
    uv = root / ".venv" / "bin" / "uv"
    (wheel,) = (root / "dist").glob("*.whl")
    with tempfile.TemporaryDirectory() as directory:
        python = Path(directory) / "bin" / "python"
        _run(root, uv, "venv", "--quiet", "--clear", "--python", root / ".venv" / "bin" / "python", directory)
        install = (uv, "pip", "install", "--quiet", "--python", python)
        _run(root, *install, "--no-deps", "--require-hashes", "--requirement", "locks/image.lock")
        _run(root, *install, "--no-deps", wheel)
        said = _run(Path(directory), python.with_name("tap-incident"), "--version").strip()
        if said != f"tap-incident {version}":
            raise ReleaseError(f"the wheel says it is {said!r}")
        _run(Path(directory), python.with_name("source-incident"), "spec")
    print("the wheel runs")


@contextmanager
def _worktree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "release"
        _git(ROOT, "worktree", "add", "--quiet", "--detach", str(root), "HEAD")
        try:
            yield root
        finally:
            _git(ROOT, "worktree", "remove", "--force", str(root))


def _git(root: Path, *arguments: str) -> str:
    return _run(root, "git", *arguments)


def _run(root: Path, *command: str | Path) -> str:
    """What a command writes to stdout.

    Raises:
        ReleaseError: it failed; with the end of what it said.
    """
    # what make was told is not for the makes in here: VERSION=1.2.3 would be their version already
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    ran = subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if ran.returncode:
        tail = "\n".join(ran.stdout.splitlines()[-15:])
        raise ReleaseError(f"{' '.join(map(str, command))} ended with {ran.returncode}:\n{tail}")
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main())
