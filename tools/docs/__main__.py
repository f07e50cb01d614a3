"""Write the generated documentation, or check it.

    python -m tools.docs [--check]

`--check` writes nothing and exits with 1 if a file is not current.
"""

import argparse
import sys

from tools.docs import generated_files
from tools.generated import update


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description="Generate the documentation.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is not current")
    check = parser.parse_args(arguments).check
    return update(generated_files(), check=check)


if __name__ == "__main__":
    sys.exit(main())
