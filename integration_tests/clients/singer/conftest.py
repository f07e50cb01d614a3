"""Fixtures: an account with edge cases, two syncs of all its streams, and a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration_tests.clients.singer.edge_cases import EdgeCases, put_edge_cases
from integration_tests.support.catalog import Catalog
from integration_tests.support.postgres import Cluster, cluster, programs
from integration_tests.support.sandboxes import KEY, SMALL
from integration_tests.support.tap import SINGER, Run, Tap
from sandbox import Sandbox


@pytest.fixture(scope="session")
def edge_case_sandbox() -> Iterator[tuple[Sandbox, EdgeCases]]:
    """The account, and its records that have edge cases."""
    with Sandbox(process=True, key=KEY, **{**SMALL, "incidents": 40, "updates": 100}) as sandbox:
        yield sandbox, put_edge_cases(sandbox)


@pytest.fixture(scope="session")
def tap(edge_case_sandbox: tuple[Sandbox, EdgeCases], tmp_path_factory: pytest.TempPathFactory) -> Tap:
    sandbox, _ = edge_case_sandbox
    return Tap(SINGER, {"api_key": KEY, "endpoint": sandbox.url}, tmp_path_factory.mktemp("tap"))


@pytest.fixture(scope="session")
def first(tap: Tap, catalog: Catalog) -> Run:
    """The first sync, of all streams."""
    return tap.read(catalog.of(SINGER, catalog.keys)).ok()


@pytest.fixture(scope="session")
def second(tap: Tap, catalog: Catalog, first: Run) -> Run:
    """The second sync, of an unchanged account."""
    return tap.read(catalog.of(SINGER, catalog.keys), first.state).ok()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server whose time zone is not UTC."""
    binaries = programs()
    if binaries is None:
        pytest.fail("PostgreSQL is needed (Debian: apt-get install postgresql)")
    with cluster(binaries, timezone="America/New_York") as running:
        yield running
