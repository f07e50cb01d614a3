"""Fixtures of the tests of a sync."""

import pytest

from source_incident import clock
from unit_tests.sync.account import Account


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """An empty account. The program's clock is the account's."""
    found = Account()
    monkeypatch.setattr(clock, "now", lambda: found.now)
    return found
