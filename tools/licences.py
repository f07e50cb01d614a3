"""List the licences of the packages in locks/image.lock and check that they are allowed.

    python -m tools.licences

Exits 1 if a package has a licence that is not in `ALLOWED`, or states none. For "A OR B" one must be allowed, for
"A AND B" both. pip-licenses does not parse expressions: it accepts "MIT AND GPL-3.0-only" because it contains MIT.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from license_expression import ExpressionError, get_spdx_licensing

from tools.generated import ROOT

LOCK = ROOT / "locks" / "image.lock"

# These require a notice when the image is redistributed. MPL-2.0 also requires the source of changes to its files.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "MPL-2.0"),
    *("PSF-2.0", "Unlicense", "Zlib"),
}
# The SPDX identifiers of other names that packages use. "BSD" can mean the 2-clause or the 3-clause licence.
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
    """The licence in a package's metadata: the SPDX expression, the classifiers, or the licence's first line.

    Several classifiers are joined with AND, the stricter reading. Empty if the package states no licence.
    """
    metadata = package.metadata
    for expression in metadata.get_all("License-Expression", []):
        return str(expression)
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier", [])
        if classifier.startswith("License :: ") and classifier != "License :: OSI Approved"
    ]
    names = classifiers or "".join(metadata.get_all("License", [])).strip().splitlines()[:1]
    return " AND ".join(NAMES.get(name, name) for name in names)


def allowed(expression: str) -> bool:
    """Whether `expression` is a valid SPDX expression that allowed licences satisfy."""
    try:
        parsed = _spdx.parse(expression, validate=True, strict=True)
    except ExpressionError:
        return False
    if parsed is None:
        return False
    values = {symbol: _spdx.TRUE if str(symbol) in ALLOWED else _spdx.FALSE for symbol in parsed.symbols}
    return bool(parsed.subs(values).simplify() == _spdx.TRUE)


def installed(lock: Path = LOCK) -> list[Distribution]:
    """The installed packages of a lock file. Packages for other platforms are not installed."""
    found = []
    for name in _PIN.findall(lock.read_text(encoding="utf-8")):
        try:
            found.append(distribution(name))
        except PackageNotFoundError:
            continue
    return found


def main(packages: Iterable[Distribution] | None = None) -> int:
    """Print one line per package and return the exit code."""
    refused = []
    for package in sorted(installed() if packages is None else packages, key=lambda package: package.name.lower()):
        expression = licence(package)
        print(f"{package.name:<36} {package.version:<14} {expression or '(none stated)'}")
        if not allowed(expression):
            refused.append(f"{package.name}: {expression or 'no licence stated'}")
    for line in refused:
        print(f"Licence not allowed: {line}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
