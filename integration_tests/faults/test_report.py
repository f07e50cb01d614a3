"""The tables of docs/reliability.md name tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration_tests.faults import report


def test_every_test_in_the_tables_exists(request: pytest.FixtureRequest) -> None:
    files = set(Path(__file__).parent.glob("test_*.py"))
    if report.WRITE:
        pytest.skip("this run replaces the tables")
    if not files <= {item.path for item in request.session.items} or request.config.getoption("keyword"):
        pytest.skip("only some tests of this folder were selected")
    assert report.tests() <= {item.name for item in request.session.items}
