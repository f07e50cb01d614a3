"""An account that changes while it is read: nothing is missed, nothing gets older."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.sandbox import Sandbox
from integration_tests.sync.account import Account
from integration_tests.sync.compare import differences, outdated
from integration_tests.sync.tap import Catalog, Destination

SYNCS = 10
STREAMS = ("incidents", "actions", "follow_ups", "incident_updates", "alerts", "escalations")


@pytest.mark.parametrize("workers", [10])
def test_after_each_of_ten_syncs_the_destination_has_what_there_was_when_it_began(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str, workers: int
) -> None:
    # Latency makes each sync long enough for hundreds of changes between its pages.
    sandbox = new_sandbox(incidents=200, updates=500, actions=300, alerts=400, escalations=100, churn=200, latency=15)
    tap = tap_of(sandbox, num_workers=workers)
    chosen = catalog.of(protocol, STREAMS)
    destination, state = Destination(catalog.keys), None
    for number in range(SYNCS):
        held = Account(sandbox).of(STREAMS)
        run = tap.read(chosen, state).ok()
        destination.load(run)
        state = run.state
        assert not list(outdated(destination, held)), f"sync {number + 1}"
    # At rest, one more sync comes to exactly what there is.
    sandbox.config(churn=0, latency=0)
    time.sleep(0.1)
    destination.load(tap.read(chosen, state).ok())
    assert not list(differences(destination, Account(sandbox).of(STREAMS)))
    assert destination.doubled() > 100
