"""An account with values that are hard to keep, and two syncs of everything in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration_tests.clients.singer import hard
from integration_tests.clients.singer.postgres import Cluster, cluster, programs
from integration_tests.conftest import KEY, SMALL
from integration_tests.support.tap import SINGER, Catalog, Record, Run, Tap
from sandbox import Sandbox

Hard = dict[str, list[Record]]


@pytest.fixture(scope="session")
def hard_sandbox() -> Iterator[tuple[Sandbox, Hard]]:
    """The account, and the records of it that were made hard."""
    with Sandbox(process=True, key=KEY, **{**SMALL, "incidents": 40, "updates": 100}) as sandbox:
        yield sandbox, hard.put(sandbox)


@pytest.fixture(scope="session")
def tap(hard_sandbox: tuple[Sandbox, Hard], tmp_path_factory: pytest.TempPathFactory) -> Tap:
    sandbox, _ = hard_sandbox
    return Tap(SINGER, {"api_key": KEY, "endpoint": sandbox.url}, tmp_path_factory.mktemp("tap"))


@pytest.fixture(scope="session")
def first(tap: Tap, catalog: Catalog) -> Run:
    """A sync of all streams, those included that are off by default."""
    return tap.read(catalog.of(SINGER, catalog.keys)).ok()


@pytest.fixture(scope="session")
def second(tap: Tap, catalog: Catalog, first: Run) -> Run:
    """The next sync, with nothing new in the account."""
    return tap.read(catalog.of(SINGER, catalog.keys), first.state).ok()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL whose own time zone is not the one that moments are to be read in."""
    at = programs()
    if at is None:
        pytest.fail("PostgreSQL is needed (Debian: apt-get install postgresql)")
    with cluster(at, timezone="America/New_York") as running:
        yield running
