"""Check that commit subjects fit into 72 characters.

    python -m tools.commits

Only commits after `BASE` are checked. A shallow clone can lack `BASE`: all its commits are newer and are checked.
Exits 1 if a subject is too long. Without a git repository there is nothing to check.
"""

import subprocess
import sys
from pathlib import Path

from tools.generated import ROOT

BASE = "6ab63487e42c29047277449cf15d8c41a03106bc"
"""The last commit before the rule."""
MAX_LENGTH = 72


def long_subjects(repository: Path, base: str = BASE) -> list[str]:
    """The commits after `base` whose subject is too long, each as its short hash and subject.

    GitHub writes the subjects of merge commits, so they are not checked.

    Raises:
        subprocess.CalledProcessError: `repository` is no git repository, or has no commit.
    """
    has_base = subprocess.run(
        ["git", "cat-file", "-e", f"{base}^{{commit}}"], cwd=repository, stderr=subprocess.DEVNULL, check=False
    )
    commits = ["HEAD"] if has_base.returncode else ["HEAD", f"^{base}"]
    log = subprocess.run(
        ["git", "log", "--format=%h %s", *commits], cwd=repository, capture_output=True, text=True, check=True
    )
    found = []
    for line in log.stdout.splitlines():
        _, _, subject = line.partition(" ")
        if len(subject) > MAX_LENGTH and not subject.startswith("Merge "):
            found.append(line)
    return found


def main() -> int:
    """Print the commits with a long subject and return the exit code."""
    try:
        found = long_subjects(ROOT)
    except subprocess.CalledProcessError as error:
        print(f"Commit subjects are not checked: {error.stderr.strip()}", file=sys.stderr)
        return 0
    for line in found:
        print(f"Commit subject over {MAX_LENGTH} characters: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
