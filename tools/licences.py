"""List the licences of the packages in locks/image.lock, and refuse one that is of no known family.

    python -m tools.licences

Exits 1 where a package's licence is not made of those in `ALLOWED`, or can't be told. Of "A OR B" one must be
allowed, of "A AND B" both: pip-licenses compares texts, and lets "MIT AND GPL-3.0-only" pass for its MIT.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from license_expression import ExpressionError, get_spdx_licensing

from tools.document import ROOT

LOCK = ROOT / "locks" / "image.lock"

# Those who run or pass on the image owe a notice for these, and for MPL-2.0 changes to its own files; no more.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "MPL-2.0"),
    *("PSF-2.0", "Unlicense", "Zlib"),
}
# What packages say that name no SPDX expression. "BSD" alone is the 2-clause or the 3-clause licence.
NAMES = {
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_spdx = get_spdx_licensing()


def licence(package: Distribution) -> str:
    """A package's licence as it states it: its SPDX expression, or its classifiers, or its licence's first line.

    Classifiers are joined with AND, the stricter reading. Empty: it states none.
    """
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier", [])
        if classifier.startswith("License :: ") and classifier != "License :: OSI Approved"
    ]
    names = classifiers or metadata.get("License", "").strip().splitlines()[:1]
    return " AND ".join(NAMES.get(name, name) for name in names)


def allowed(expression: str) -> bool:
    """Whether a licence is made of allowed ones only; one that is no SPDX expression is not."""
    try:
        parsed = _spdx.parse(expression, validate=True, strict=True)
    except ExpressionError:
        return False
    if parsed is None:
        return False
    known = {symbol: _spdx.TRUE if str(symbol) in ALLOWED else _spdx.FALSE for symbol in parsed.symbols}
    return bool(parsed.subs(known).simplify() == _spdx.TRUE)


def locked(lock: Path = LOCK) -> list[Distribution]:
    """The packages of a lock file that are installed here; those of another system are not."""
    found = []
    for name in _PIN.findall(lock.read_text(encoding="utf-8")):
        try:
            found.append(distribution(name))
        except PackageNotFoundError:
            continue
    return found


def main(packages: Iterable[Distribution] | None = None) -> int:
    """Prints a line a package; the exit code."""
    refused = []
    for package in sorted(locked() if packages is None else packages, key=lambda one: one.name.lower()):
        expression = licence(package)
        print(f"{package.name:<36} {package.version:<14} {expression or '(none stated)'}")
        if not allowed(expression):
            refused.append(f"{package.name}: {expression or 'no licence stated'}")
    for line in refused:
        print(f"not among the allowed licences: {line}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
