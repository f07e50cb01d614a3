"""Fixtures that every folder uses: sandboxes, and the program in both protocols."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import KEY, SMALL, StartSandbox
from integration_tests.support.tap import AIRBYTE, PROTOCOLS, REFERENCE, SINGER, MakeTap, Tap
from sandbox import Sandbox


def pytest_configure() -> None:
    # A shell starts its background jobs with SIGINT ignored, and so would the programs that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--workers", type=int, help="num_workers of every tap whose test sets none")


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    """Run the test once per protocol."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """A small account that no test changes."""
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        yield sandbox


@pytest.fixture
def new_sandbox() -> Iterator[StartSandbox]:
    """Start a sandbox for this test only: `new_sandbox(**options)`, by default with the small account."""
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
    """Configure the program for a sandbox: `tap_of(sandbox, **settings)`."""
    workers = request.config.getoption("workers")
    defaults = {"num_workers": workers} if workers else {}

    def make(sandbox: Sandbox, *, in_protocol: str = protocol, **config: Any) -> Tap:
        return Tap(in_protocol, {"api_key": sandbox.key, "endpoint": sandbox.url, **defaults, **config}, tmp_path)

    return make


@pytest.fixture(scope="session")
def catalog(shared_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The discovered streams, in both protocols."""
    config = {"api_key": shared_sandbox.key, "endpoint": shared_sandbox.url}
    taps = {name: Tap(name, config, tmp_path_factory.mktemp(name)) for name in PROTOCOLS}
    return Catalog(taps[AIRBYTE].discover(), taps[SINGER].discover())


@pytest.fixture(scope="session")
def reference() -> Path:
    """Recorded data: catalogs of the Go tap, and records that it read from a real account."""
    if not REFERENCE.is_dir():
        pytest.skip("the recorded data of the Go tap is missing (../shared/reference/singer-tap)")
    return REFERENCE
