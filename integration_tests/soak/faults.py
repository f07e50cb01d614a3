"""Syncs with every fault at once. A failed sync is run again from its state, as an orchestrator does.

`python -m integration_tests.soak.faults --seeds 6 --incidents 1500`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration_tests.soak.kill import BY_INCIDENT
from integration_tests.soak.kill import STREAMS as STREAMS_BY_LIST
from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.faults import HARMLESS, PERMANENT, RATE_LIMITED, TRANSIENT
from integration_tests.support.tap import AIRBYTE, PROTOCOLS, Run, Tap
from sandbox import Sandbox

STREAMS = (*STREAMS_BY_LIST, BY_INCIDENT)
RATE = 0.05
MAX_RUNS = 200
OTHER_HOST = "http://127.0.0.2:9"
# A 404 means that a record was deleted, so the connector skips it. The sandbox's cycle continues in the next sync,
# where it is not a cycle but a missing page.
EXCLUDED = ("404", "after:as=cycle")
# Faults for alerts only. A 403 for a list that is nested in incidents leaves its column empty, with a warning. The
# sandbox repeats records of the previous page, which for a list by incident belong to another incident.
ALERTS_ONLY = ("403", "duplicate")
FAULTS = {
    case.name: case.fault.format(other=OTHER_HOST) + (",path=/v2/alerts" if case.fault.startswith(ALERTS_ONLY) else "")
    for case in (*TRANSIENT, *RATE_LIMITED, *HARMLESS, *PERMANENT)
    if not case.fault.startswith(EXCLUDED)
} | {
    "401": "401",
    "connections refused": "refuse:seconds=0.5",
    "unknown `after`": "after:as=unknown,query=after=",
    "Date a day ahead": "date:offset=86400",
    "Date a day behind": "date:offset=-86400",
}


@dataclass(frozen=True)
class Outcome:
    """Result of one seed.

    Attributes:
        seed: the seed. The same seed gives the same account.
        protocol: airbyte or singer.
        runs: number of syncs until one succeeded.
        requests: number of requests in all syncs.
        faults: number of injected faults, by name.
        records: number of records of the streams in the account.
        differences: differences between the destination and the account.
        duplicates: number of records of incremental streams that were emitted again.
        duplicates_full: the same for streams without a cursor, which are read in full by every sync.
    """

    seed: int
    protocol: str
    runs: int
    requests: int
    faults: Counter[str]
    records: int
    differences: list[str]
    duplicates: int
    duplicates_full: int

    def __str__(self) -> str:
        return (
            f"seed {self.seed} ({self.protocol}): {self.runs} syncs, {self.requests} requests, "
            f"{self.faults.total()} faults, {self.records} records, {len(self.differences)} lost or different, "
            f"{self.duplicates} duplicates (and {self.duplicates_full} of streams without a cursor)"
            + "".join(f"\n  {line}" for line in self.differences[:20])
        )


def faults_at_rate(rate: float) -> list[str]:
    """Return all faults for the sandbox, equally likely, which together hit a share `rate` of the requests."""
    # The sandbox tries one fault after the other, so a later fault only sees the requests that earlier ones left.
    rates = [rate / len(FAULTS) / (1 - rate * index / len(FAULTS)) for index in range(len(FAULTS))]
    return [
        f"{fault}{',' if ':' in fault else ':'}rate={share:.6f}"
        for fault, share in zip(FAULTS.values(), rates, strict=True)
    ]


def run_seed(seed: int, rate: float, incidents: int, directory: Path) -> Outcome:
    """Run syncs with faults into one destination until one succeeds."""
    protocol = PROTOCOLS[seed % len(PROTOCOLS)]
    company: dict[str, Any] = dict.fromkeys(("updates", "actions", "follow_ups", "alerts"), incidents * 2)
    with Sandbox(process=True, seed=seed, incidents=incidents, escalations=incidents // 2, **company) as sandbox:
        config = {"api_key": sandbox.key, "endpoint": sandbox.url, "request_timeout": 3}
        taps = {name: Tap(name, config, directory / f"{seed}-{name}") for name in PROTOCOLS}
        catalog = Catalog(*(taps[name].discover() for name in PROTOCOLS))
        account = Account(sandbox).of(STREAMS)
        selected = catalog.of(protocol, STREAMS)
        destination = Destination(catalog.keys)
        sandbox.reset()
        sandbox.config(fault=faults_at_rate(rate))
        state, runs = None, 0
        while runs < MAX_RUNS:
            runs += 1
            run = taps[protocol].read(selected, state)
            if run.code not in (0, 1) or "the connector failed" in run.log:
                raise RuntimeError(f"seed {seed}: exit {run.code}: {run.log[-2000:]}")
            destination.load(run)
            state = merge_state(state, run)
            if run.code == 0:
                break
        else:
            raise RuntimeError(f"seed {seed}: none of {MAX_RUNS} syncs succeeded")
        incremental = [name for name in STREAMS if name in catalog.incremental]
        return Outcome(
            seed,
            protocol,
            runs,
            sandbox.requests(log=False)["total"],
            Counter({name: fault["struck"] for name, fault in zip(FAULTS, sandbox.faults(), strict=True)}),
            sum(map(len, account.values())),
            list(differences(destination, account)),
            destination.duplicates(incremental),
            destination.duplicates([name for name in STREAMS if name not in incremental]),
        )


def merge_state(state: Any, run: Run) -> Any:
    """Return the state that a platform passes to the next sync. In Airbyte it is the newest state of each stream."""
    if run.protocol != AIRBYTE:
        return run.state or state
    by_stream = {item["stream"]["stream_descriptor"]["name"]: item for item in [*(state or []), *(run.state or [])]}
    return list(by_stream.values()) or None


def outcomes(seeds: range, *, rate: float = RATE, incidents: int, parallel: int = 2) -> Iterator[Outcome]:
    """Run the seeds and yield their results in order."""
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(parallel) as executor:
        yield from executor.map(lambda seed: run_seed(seed, rate, incidents, Path(directory)), seeds)


def summary(results: list[Outcome]) -> str:
    """Return the totals of some seeds."""
    faults = sum((outcome.faults for outcome in results), Counter[str]())
    kinds = "".join(f"\n  {faults[name]:5} {name}" for name in FAULTS)
    return (
        f"{len(results)} seeds: {sum(outcome.runs for outcome in results)} syncs, "
        f"{sum(outcome.requests for outcome in results)} requests, {faults.total()} faults, "
        f"{sum(outcome.records for outcome in results)} records, "
        f"{sum(len(outcome.differences) for outcome in results)} lost or different, "
        f"{sum(outcome.duplicates for outcome in results)} duplicates (and "
        f"{sum(outcome.duplicates_full for outcome in results)} of streams without a cursor)\nfaults by kind:{kinds}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.soak.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=6, help="number of seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rate", type=float, default=RATE, help="share of the requests that a fault hits")
    parser.add_argument("--incidents", type=int, default=1500, help="size of the account")
    arguments = parser.parse_args()
    results = []
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    for outcome in outcomes(seeds, rate=arguments.rate, incidents=arguments.incidents):
        results.append(outcome)
        print(outcome, flush=True)
    print(summary(results))
    return int(any(outcome.differences for outcome in results))


if __name__ == "__main__":
    sys.exit(main())
