"""Syncs of an account that changes meanwhile miss no change and never replace a record by an older one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences, outdated
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import PROTOCOLS, Tap

SYNCS = 6
STREAMS = ("incidents", "actions", "follow_ups", "incident_updates", "alerts", "escalations")


def test_each_sync_brings_the_destination_up_to_its_start(
    new_sandbox: StartSandbox, catalog: Catalog, tmp_path: Path
) -> None:
    """Both protocols run in parallel. Some changes have timestamps minutes behind the clock."""
    # The latency makes each sync long enough for changes between its pages.
    sandbox = new_sandbox(
        incidents=200, updates=500, actions=300, alerts=400, escalations=100, churn=120, latency=15, process=True
    )
    taps = {name: Tap(name, {"api_key": sandbox.key, "endpoint": sandbox.url}, tmp_path / name) for name in PROTOCOLS}
    destinations = {name: Destination(catalog.keys) for name in PROTOCOLS}

    def sync(protocol: str, state: Any) -> Any:
        run = taps[protocol].read(catalog.of(protocol, STREAMS), state).ok()
        destinations[protocol].load(run)
        return run.state

    def sync_repeatedly(protocol: str) -> Any:
        state = None
        for number in range(SYNCS):
            before = Account(sandbox).of(STREAMS)
            state = sync(protocol, state)
            assert not list(outdated(destinations[protocol], before)), f"{protocol}, sync {number + 1}"
        return state

    with ThreadPoolExecutor(len(PROTOCOLS)) as executor:
        states = dict(zip(PROTOCOLS, executor.map(sync_repeatedly, PROTOCOLS), strict=True))
    # When the account no longer changes, one more sync makes the destination equal to it.
    sandbox.config(churn=0, latency=0)
    account = Account(sandbox).of(STREAMS)
    for protocol in PROTOCOLS:
        sync(protocol, states[protocol])
        assert not list(differences(destinations[protocol], account)), protocol
        assert destinations[protocol].duplicates() > 100
