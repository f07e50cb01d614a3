"""Sandboxes, and the program in both protocols, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.support.tap import AIRBYTE, PROTOCOLS, REFERENCE, SINGER, Catalog, Tap
from sandbox import Sandbox

KEY = "sandbox-key-4711"
SMALL: dict[str, Any] = {
    "incidents": 60,
    "updates": 300,
    "actions": 80,
    "follow_ups": 80,
    "alerts": 120,
    "escalations": 60,
    "users": 20,
}

MakeTap = Callable[..., Tap]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--workers", type=int, help="the num_workers of every tap whose test sets none")


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    """airbyte, singer."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """An account of a small company that nothing changes."""
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        yield sandbox


@pytest.fixture
def new_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Starts a sandbox of the test's own: the small company, with the options given."""
    running: list[Sandbox] = []

    def start(**options: Any) -> Sandbox:
        sandbox = Sandbox(**{"key": KEY, **SMALL, **options})
        sandbox.start()
        running.append(sandbox)
        return sandbox

    yield start
    for sandbox in running:
        sandbox.stop()


@pytest.fixture
def tap_of(protocol: str, tmp_path: Path, request: pytest.FixtureRequest) -> MakeTap:
    """Makes the program for a sandbox: `tap_of(sandbox, **settings)`."""
    workers = request.config.getoption("workers")
    usual = {"num_workers": workers} if workers else {}

    def make(sandbox: Sandbox, *, speaks: str = protocol, **config: Any) -> Tap:
        return Tap(speaks, {"api_key": sandbox.key, "endpoint": sandbox.url, **usual, **config}, tmp_path)

    return make


@pytest.fixture(scope="session")
def catalog(shared_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """What discovery finds, in both protocols."""
    config = {"api_key": shared_sandbox.key, "endpoint": shared_sandbox.url}
    taps = {name: Tap(name, config, tmp_path_factory.mktemp(name)) for name in PROTOCOLS}
    return Catalog(taps[AIRBYTE].discover(), taps[SINGER].discover())


@pytest.fixture(scope="session")
def reference() -> Path:
    """What the Go tap left: its catalogs, and records that it read from a real account."""
    if not REFERENCE.is_dir():
        pytest.skip("the Go tap's catalogs and records are not beside this repository (../shared/reference)")
    return REFERENCE
