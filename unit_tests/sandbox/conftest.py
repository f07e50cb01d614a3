"""A sandbox that the tests which only read share, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox import Sandbox

NOW = "2026-03-02T10:00:00Z"


class Client:
    """GETs with the key; `page` follows `after` to the end."""

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
        """The records of every page."""
        records: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        for _ in range(1000):
            body = self.ok(path, **query, **after)
            records += body[records_key]
            last = (body.get("pagination_meta") or {}).get("after")
            if last is None:
                return records
            after = {"after": last}
        raise AssertionError("the pages do not end")


Start = Callable[..., tuple[Sandbox, Client]]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(now=NOW) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    made = Client(sandbox)
    with made.session:
        yield made


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a sandbox of one's own; it stops with the test."""
    running: list[tuple[Sandbox, Client]] = []

    def run(**options: Any) -> tuple[Sandbox, Client]:
        made = Sandbox(**{"now": NOW, **options})
        made.start()
        running.append((made, Client(made)))
        return running[-1]

    yield run
    for made, made_client in running:
        made_client.session.close()
        made.stop()
