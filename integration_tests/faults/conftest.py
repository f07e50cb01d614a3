"""Fixtures that run the syncs with faults and report the results to docs/reliability.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from integration_tests.faults import report
from integration_tests.faults.runs import Listener, Runs
from integration_tests.support.catalog import Catalog
from integration_tests.support.faults import Case
from integration_tests.support.tap import PROTOCOLS

_rows: list[report.Row] = []


@pytest.fixture(scope="session")
def other_host() -> Iterator[Listener]:
    """A server at another address, to which no request may go."""
    with Listener() as listener:
        yield listener


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest, catalog: Catalog, other_host: Listener, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """The runs of all selected cases, started in parallel."""
    runs = Runs(catalog, tmp_path_factory.mktemp("faults"), other_host)
    selected: dict[str, dict[Case, None]] = {"single": {}, "persistent": {}}
    for item in request.session.items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        for duration, cases in selected.items():
            if isinstance(case := parameters.get(duration), Case):
                cases[case] = None
    for protocol in PROTOCOLS:
        runs.start_single(protocol, selected["single"])
    runs.start_persistent(selected["persistent"])
    yield runs
    runs.close()


@pytest.fixture
def reliability(request: pytest.FixtureRequest) -> report.Report:
    """Report the result of a fault. `make reliability` writes it, every other run compares it with the document."""

    def add(fault: str, result: str) -> None:
        row = report.Row(fault, result, request.node.name, inspect.getdoc(request.function) or "")
        if report.WRITE:
            _rows.append(row)
        else:
            assert str(row) in report.rows(), f"docs/reliability.md lacks this row, run make reliability:\n{row}"

    return add


def pytest_sessionfinish(session: pytest.Session) -> None:
    if report.WRITE and not session.testsfailed:
        report.write(_rows)
