"""The check of licences."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import Distribution, PackageMetadata
from pathlib import Path
from typing import cast

import pytest

from tools import licences


class Package(Distribution):
    """A package with the given metadata headers."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self._message = Message()
        for name, value in (("Name", "made-up"), ("Version", "1.0"), *headers):
            self._message[name] = value

    @property
    def metadata(self) -> PackageMetadata:
        return cast(PackageMetadata, self._message)

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: object) -> Path:
        return Path(str(path))


def classifier(name: str) -> tuple[str, str]:
    return "Classifier", f"License :: OSI Approved :: {name}"


def test_every_package_of_the_image_has_an_allowed_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert licences.main() == 0
    assert {"airbyte-cdk", "orjson", "requests"} <= {line.split()[0] for line in capsys.readouterr().out.splitlines()}


@pytest.mark.parametrize(
    "expression",
    ["MIT", "MIT AND BSD-3-Clause", "GPL-3.0-only OR MIT", "MPL-2.0 AND (Apache-2.0 OR MIT)", "(MIT)"],
)
def test_accepts_allowed_expressions(expression: str) -> None:
    assert licences.allowed(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-2.0-or-later",
        "MIT AND GPL-3.0-only",
        "MIT AND (GPL-3.0-only OR AGPL-3.0-only)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "LicenseRef-Proprietary",
        "no licence at all",
        "MIT AND",
        "",
    ],
)
def test_rejects_other_expressions(expression: str) -> None:
    assert not licences.allowed(expression)


@pytest.mark.parametrize(
    ("headers", "expression"),
    [
        ([("License-Expression", "MIT-0"), classifier("BSD License")], "MIT-0"),
        ([classifier("MIT License")], "MIT"),
        ([classifier("MIT License"), classifier("Apache Software License")], "MIT AND Apache-2.0"),
        ([("License", "MIT"), ("Classifier", "License :: OSI Approved")], "MIT"),
        ([("License", "MIT License\n\nCopyright (c) somebody")], "MIT"),
        ([("License", "GPL, see file")], "GPL, see file"),
        ([], ""),
    ],
)
def test_reads_the_expression_classifiers_or_licence_field(headers: list[tuple[str, str]], expression: str) -> None:
    assert licences.licence(Package(*headers)) == expression


def test_reports_a_licence_that_is_not_allowed_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    gpl = classifier("GNU General Public License v3 (GPLv3)")
    assert licences.main([Package(gpl), Package(classifier("MIT License"))]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors == ["Licence not allowed: made-up: GNU General Public License v3 (GPLv3)"]
