"""The table of docs/reliability.md names tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration_tests.faults import table


def test_the_table_has_no_row_of_a_test_that_is_gone(request: pytest.FixtureRequest) -> None:
    collected = {item.name for item in request.session.items}
    here = {path.stem for path in Path(__file__).parent.glob("test_*.py")}
    if not here <= {item.path.stem for item in request.session.items} or request.config.getoption("keyword"):
        pytest.skip("only some of the faults' tests were asked for")
    assert table.tests() <= collected
