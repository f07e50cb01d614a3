"""Fixtures for tests of the client."""

from collections.abc import Iterator
from typing import Any

import pytest

from source_incident.api import Client
from unit_tests.api.clients import KEY, Make, NoWaitToken
from unit_tests.api.server import ScriptedServer


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes clients. They do not wait between tries, unless the test gives another cancellation token."""
    made: list[Client] = []

    def make_client(server: ScriptedServer | str, **settings: Any) -> Client:
        defaults = {
            "endpoint": server if isinstance(server, str) else server.url,
            "api_key": KEY,
            "user_agent": "tap/1",
            "max_retries": 3,
            "cancellation": NoWaitToken(),
        }
        client = Client(**{**defaults, **settings})
        made.append(client)
        return client

    yield make_client
    for client in made:
        client.close()


@pytest.fixture
def no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the block of an endpoint after a 429: it lasts by the clock, and the clients do not wait."""
    monkeypatch.setattr("source_incident.api.rate_limit.RateLimiter.block", lambda *_: None)
