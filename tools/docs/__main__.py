"""Write the generated documentation, or check it.

    python -m tools.docs [--check]

`--check` writes nothing and exits with 1 if a file is stale.
"""

import argparse
import sys

from tools.docs import ROOT, generated_files


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description="Generate the documentation.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is stale")
    check = parser.parse_args(arguments).check
    stale = {
        path: content
        for path, content in generated_files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    }
    for path, content in stale.items():
        print(f"{path.relative_to(ROOT)} {'is stale, run: make docs' if check else 'written'}")
        if not check:
            path.write_text(content, encoding="utf-8")
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
