"""A sandbox shared by the tests that only read, and an HTTP client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox import Sandbox

NOW = "2026-03-02T10:00:00Z"


class Client:
    """Sends GET requests with the API key."""

    def __init__(self, sandbox: Sandbox, key: str | None = None) -> None:
        self.url = sandbox.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {key or sandbox.key}"

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.session.get(self.url + path, params=query, timeout=10, allow_redirects=False)

    def ok(self, path: str, **query: Any) -> Any:
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def all(self, path: str, records_key: str, **query: Any) -> list[dict[str, Any]]:
        """The records of all pages."""
        records: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        for _ in range(1000):
            body = self.ok(path, **query, **after)
            records += body[records_key]
            cursor = (body.get("pagination_meta") or {}).get("after")
            if cursor is None:
                return records
            after = {"after": cursor}
        raise AssertionError("the list has more than 1,000 pages")


Start = Callable[..., tuple[Sandbox, Client]]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(now=NOW) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with (new_client := Client(sandbox)).session:
        yield new_client


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a sandbox with options; it stops when the test ends."""
    running: list[tuple[Sandbox, Client]] = []

    def run(**options: Any) -> tuple[Sandbox, Client]:
        new_sandbox = Sandbox(**{"now": NOW, **options})
        new_sandbox.start()
        running.append((new_sandbox, Client(new_sandbox)))
        return running[-1]

    yield run
    for new_sandbox, new_client in running:
        new_client.session.close()
        new_sandbox.stop()
