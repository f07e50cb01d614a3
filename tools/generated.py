"""Generated files: write them, or check that the committed ones are current."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECK_HELP = "write nothing; exit 1 if a file is not current"


def stale_files(files: Mapping[Path, str]) -> list[Path]:
    """The paths in `files` that are missing or have other content than the generated text."""
    return [path for path, content in files.items() if not path.exists() or path.read_text(encoding="utf-8") != content]


def update(files: Mapping[Path, str], *, obsolete: Collection[Path] = (), check: bool) -> int:
    """Write the files that are not current, or only report them.

    Args:
        files: the generated text by path.
        obsolete: committed files that are no longer generated; they are deleted.
        check: write and delete nothing.

    Returns:
        The exit code: 1 if `check` is set and a file is not current.
    """
    stale = stale_files(files)
    for path in [*stale, *obsolete]:
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} is {'not current' if path in files else 'obsolete'}", file=sys.stderr)
        elif path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
            print(f"{name} written")
        else:
            path.unlink()
            print(f"{name} deleted")
    return 1 if check and (stale or obsolete) else 0
