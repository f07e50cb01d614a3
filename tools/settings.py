"""Make the README's table of settings from their declaration.

    python -m tools.settings [--check]

Writes between `<!-- settings:begin -->` and `<!-- settings:end -->`. `--check` writes nothing and exits 1
where the table is stale.
"""

import argparse
import json
import re
import sys

from source_incident.config import SETTINGS, Setting
from tools.document import ROOT

README = ROOT / "README.md"
PLACE = re.compile(r"(?<=<!-- settings:begin -->\n).*?(?=<!-- settings:end -->)", re.DOTALL)


def table() -> str:
    """A line a setting: its name, its environment variable, its default, what it does."""
    rows = ["| setting | environment | default | what it does |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{setting.name}` | `{setting.environment}` | {_default(setting)} | {setting.description} |"
        for setting in SETTINGS
    ]
    return "\n".join(rows) + "\n"


def readme() -> str:
    """README.md with the table as it should be.

    Raises:
        ValueError: README.md has no place for the table, or several.
    """
    text, places = PLACE.subn(lambda _: table(), README.read_text(encoding="utf-8"))
    if places != 1:
        raise ValueError("README.md has no place, or several, for the table of settings")
    return text


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    return "" if setting.default is None else f"`{json.dumps(setting.default)}`"


def main() -> int:
    """Writes the table, or checks it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.settings", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the table is stale")
    fresh = readme()
    if parser.parse_args().check:
        if stale := README.read_text(encoding="utf-8") != fresh:
            print("README.md: the table of settings is stale, run: python -m tools.settings", file=sys.stderr)
        return int(stale)
    README.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
