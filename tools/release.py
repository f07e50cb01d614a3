"""Create a release: set the version, run the fast checks, build the packages, commit and tag.

    python -m tools.release VERSION [--dry-run]

The release is built from HEAD in a temporary worktree, so a failure leaves no trace. At the end the current branch
moves to the new commit and the commit gets its tag; `--dry-run` stops before that. Pushing the branch and the tag
starts `.github/workflows/release.yml`.
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

from tools.generated import ROOT

FAST_CHECKS = ("lint", "types", "imports", "unit")
# These files must contain the version. Documents and examples that name an image contain it too.
REQUIRED_FILES = {"setup.py", "metadata.yaml", "Dockerfile"}
PREFIXES = (
    'version="',
    "dockerImageTag: ",
    r'docker_image_tag *= "',
    r"Docker image tag \| `",
    "tap-incident:",
    "tap-incident==",
    "IMAGE:",
    "download v",
    "incident-sync:",
)
EXCLUDED_FILES = ("CHANGELOG.md", "*.lock", "*lock.json", "*.svg", "unit_tests/*")

_UNRELEASED = re.compile(r"^## \[(?:Unreleased\]|[^]\n]*\] - Unreleased)$\n(?P<entries>.*?)(?=^## \[|\Z)", re.M | re.S)


class ReleaseError(Exception):
    """The release is not possible. The first line of the message gives the reason."""


def current_version() -> str:
    """The version in setup.py."""
    (version,) = re.findall(r'version="([^"]+)"', (ROOT / "setup.py").read_text(encoding="utf-8"))
    return str(version)


def bump(root: Path, old: str, new: str) -> list[str]:
    """Replace the old version by the new one in the tracked files of a checkout.

    Only a version after one of `PREFIXES` is replaced.

    Returns:
        The lines that still contain the old version, as `file:line: text`.

    Raises:
        ReleaseError: a required file does not contain the version.
    """
    version = rf"{re.escape(old)}(?!\w|\.\d)"
    prefixed, any_use = re.compile(rf"({'|'.join(PREFIXES)}){version}"), re.compile(rf"(?<![\w.]){version}")
    updated, remaining = set(), []
    for name in _git(root, "ls-files", "--", ".", *(f":!{pattern}" for pattern in EXCLUDED_FILES)).splitlines():
        try:
            text = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        changed, replacements = prefixed.subn(rf"\g<1>{new}", text)
        if replacements:
            updated.add(name)
            (root / name).write_text(changed, encoding="utf-8")
        if old != new:
            lines = enumerate(changed.splitlines(), 1)
            remaining += [f"{name}:{number}: {line}" for number, line in lines if any_use.search(line)]
    if missing := REQUIRED_FILES - updated:
        raise ReleaseError(f"{', '.join(sorted(missing))}: does not contain version {old}")
    return remaining


def dated(changelog: str, version: str, day: datetime.date) -> str:
    """The changelog with the unreleased entries under `version` and `day`, and a new empty Unreleased section.

    Raises:
        ReleaseError: there are no unreleased entries.
    """
    found = _UNRELEASED.search(changelog)
    if found is None or not re.search(r"^- ", found["entries"], re.M):
        raise ReleaseError("CHANGELOG.md: no entries under Unreleased")
    heading = f"## [Unreleased]\n\n## [{version}] - {day.isoformat()}\n"
    return changelog[: found.start()] + heading + found["entries"] + changelog[found.end() :]


def release(version: str, *, dry_run: bool) -> None:
    """Release HEAD as `version`.

    Raises:
        ReleaseError: the version is invalid, the working tree has changes, or a step failed.
    """
    old = current_version()
    _validate(old, version)
    with _worktree() as root:
        remaining = bump(root, old, version)
        changelog = root / "CHANGELOG.md"
        changelog.write_text(
            dated(changelog.read_text(encoding="utf-8"), version, datetime.datetime.now(datetime.UTC).date()),
            encoding="utf-8",
        )
        print(_git(root, "diff", "--stat"), end="")
        for line in remaining:
            print(f"Check this line, it still contains {old}: {line}")
        for target in (*FAST_CHECKS, "dist"):
            print(f"make {target}", flush=True)
            _run(root, "make", target)
        _smoke_test(root, version)
        _git(root, "commit", "--quiet", "--all", "--message", f"Release {version}")
        commit = _git(root, "rev-parse", "HEAD").strip()
        packages = sorted((root / "dist").iterdir())
        print("\n".join(f"{package.name}  {package.stat().st_size:,} bytes" for package in packages))
        if dry_run:
            print(f"Dry run succeeded, nothing was changed. To release: make release VERSION={version}")
            return
        shutil.copytree(root / "dist", ROOT / "dist", dirs_exist_ok=True)
    _git(ROOT, "merge", "--quiet", "--ff-only", commit)
    _git(ROOT, "tag", "--annotate", f"v{version}", "--message", f"Release {version}", commit)
    branch = _git(ROOT, "rev-parse", "--abbrev-ref", "HEAD").strip()
    print(f"Created the commit and the tag v{version}. To publish: git push --atomic origin {branch} v{version}")


def main(arguments: list[str] | None = None) -> int:
    """Create the release and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.release", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", help="the new version, for example 1.2.3")
    parser.add_argument("--dry-run", action="store_true", help="do not move the branch, do not create the tag")
    options = parser.parse_args(arguments)
    try:
        release(options.version, dry_run=options.dry_run)
    except ReleaseError as error:
        print(f"Release failed: {error}", file=sys.stderr)
        return 1
    return 0


def _validate(old: str, new: str) -> None:
    try:
        version = Version(new)
    except InvalidVersion:
        raise ReleaseError(f"{new} is not a version, use the form 1.2.3") from None
    is_final = not (version.is_prerelease or version.is_postrelease or version.local)
    if str(version) != new or len(version.release) != 3 or not is_final:
        raise ReleaseError(f"{new} does not have the form 1.2.3")
    if version < Version(old):
        raise ReleaseError(f"{new} is older than {old}")
    if _git(ROOT, "tag", "--list", f"v{new}"):
        raise ReleaseError(f"the tag v{new} exists already")
    if _git(ROOT, "status", "--porcelain"):
        raise ReleaseError("the working tree has uncommitted changes, see git status")


def _smoke_test(root: Path, version: str) -> None:
    """Install the wheel and the locked packages in an empty environment; run `--version` and `spec`."""
    uv = root / ".venv" / "bin" / "uv"
    (wheel,) = (root / "dist").glob("*.whl")
    with tempfile.TemporaryDirectory() as directory:
        python = Path(directory) / "bin" / "python"
        _run(root, uv, "venv", "--quiet", "--clear", "--python", root / ".venv" / "bin" / "python", directory)
        install = (uv, "pip", "install", "--quiet", "--python", python)
        _run(root, *install, "--no-deps", "--require-hashes", "--requirement", "locks/image.lock")
        _run(root, *install, "--no-deps", wheel)
        printed = _run(Path(directory), python.with_name("tap-incident"), "--version").strip()
        if printed != f"tap-incident {version}":
            raise ReleaseError(f"the wheel prints {printed!r} for --version")
        _run(Path(directory), python.with_name("source-incident"), "spec")
    print("The wheel works")


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
    """Run a command and return its output.

    Raises:
        ReleaseError: the command failed. The message has the last lines of the output.
    """
    # Without MAKEFLAGS a nested make reads its version from setup.py, not from the command line of this make
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    ran = subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if ran.returncode:
        tail = "\n".join(ran.stdout.splitlines()[-15:])
        raise ReleaseError(f"{' '.join(map(str, command))} failed with exit code {ran.returncode}:\n{tail}")
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main())
