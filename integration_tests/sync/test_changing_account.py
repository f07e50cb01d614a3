"""An account that changes while it is read: nothing is missed, nothing gets older."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from integration_tests.support.account import Account
from integration_tests.support.compare import differences, outdated
from integration_tests.support.tap import PROTOCOLS, Catalog, Destination, Tap
from sandbox import Sandbox

SYNCS = 10
STREAMS = ("incidents", "actions", "follow_ups", "incident_updates", "alerts", "escalations")


def test_after_each_of_ten_syncs_the_destination_has_what_there_was_when_it_began(
    new_sandbox: Callable[..., Sandbox], catalog: Catalog, tmp_path: Path
) -> None:
    """In both protocols, side by side. Some changes are stamped minutes behind the clock."""
    # Latency makes each sync long enough for changes between its pages.
    sandbox = new_sandbox(
        incidents=200, updates=500, actions=300, alerts=400, escalations=100, churn=120, latency=15, process=True
    )
    taps = {name: Tap(name, {"api_key": sandbox.key, "endpoint": sandbox.url}, tmp_path / name) for name in PROTOCOLS}
    destinations = {name: Destination(catalog.keys) for name in PROTOCOLS}

    def sync(protocol: str, state: Any) -> Any:
        run = taps[protocol].read(catalog.of(protocol, STREAMS), state).ok()
        destinations[protocol].load(run)
        return run.state

    def ten(protocol: str) -> Any:
        state = None
        for number in range(SYNCS):
            held = Account(sandbox).of(STREAMS)
            state = sync(protocol, state)
            assert not list(outdated(destinations[protocol], held)), f"{protocol}, sync {number + 1}"
        return state

    with ThreadPoolExecutor(len(PROTOCOLS)) as executor:
        states = dict(zip(PROTOCOLS, executor.map(ten, PROTOCOLS), strict=True))
    # At rest, one more sync comes to exactly what there is.
    sandbox.config(churn=0, latency=0)
    held = Account(sandbox).of(STREAMS)
    for protocol in PROTOCOLS:
        sync(protocol, states[protocol])
        assert not list(differences(destinations[protocol], held)), protocol
        assert destinations[protocol].doubled() > 100
