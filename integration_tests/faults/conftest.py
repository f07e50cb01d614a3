"""The faults' runs, begun side by side, and the table of docs/reliability.md that they make."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator

import pytest

from integration_tests.faults import table
from integration_tests.faults.cases import Case
from integration_tests.faults.runs import Listener, Runs
from integration_tests.support.tap import PROTOCOLS, Catalog

WRITES = os.environ.get("RELIABILITY") == "write"

Reliability = Callable[[str, str], None]
_found: list[table.Row] = []


@pytest.fixture(scope="session")
def other() -> Iterator[Listener]:
    """A server on another address, where nobody is to come."""
    with Listener() as listener:
        yield listener


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest, catalog: Catalog, other: Listener, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """The runs of all cases that were selected."""
    made = Runs(catalog, tmp_path_factory.mktemp("faults"), other)
    chosen: dict[str, dict[Case, None]] = {"passing": {}, "staying": {}}
    for item in request.session.items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        for how in chosen:
            if isinstance(case := parameters.get(how), Case):
                chosen[how][case] = None
    for protocol in PROTOCOLS:
        made.start_passing(protocol, chosen["passing"])
    made.start_staying(chosen["staying"])
    yield made
    made.close()


@pytest.fixture
def reliability(request: pytest.FixtureRequest) -> Reliability:
    """Says what happened at a fault: `make reliability` writes it down, any other run sees that it is written so."""

    def say(fault: str, happened: str) -> None:
        row = table.Row(fault, happened, request.node.name, inspect.getdoc(request.function) or "")
        if WRITES:
            _found.append(row)
        else:
            assert str(row) in table.rows(), f"docs/reliability.md does not say so (make reliability):\n{row}"

    return say


def pytest_sessionfinish(session: pytest.Session) -> None:
    if WRITES and not session.testsfailed:
        table.write(_found)
