"""Syncs with every fault at once, run again and again as an orchestrator would until one ends well.

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

from integration_tests.faults.cases import ANSWERS, HARMLESS, LIMITED, PASSING
from integration_tests.soak.kill import BY_INCIDENT
from integration_tests.soak.kill import STREAMS as MOST_STREAMS
from integration_tests.support.account import Account
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, PROTOCOLS, Catalog, Destination, Run, Tap
from sandbox import Sandbox

STREAMS = (*MOST_STREAMS, BY_INCIDENT)
RATE = 0.05
MOST_RUNS = 200
ELSEWHERE = "http://127.0.0.2:9"
# 404 says that a record is gone, and the connector believes it. The sandbox's cycle goes on over several syncs, where
# it is no cycle but a page left out.
NOT_HERE = ("404", "after:as=cycle")
# On one list alone: a 403 for a list that is nested in incidents leaves that column empty, with a warning; and what the
# sandbox doubles is of the page before, which of a list by incident is another incident's.
OF_ALERTS = ("403", "duplicate")
FAULTS = {
    case.name: case.fault.format(other=ELSEWHERE) + (",path=/v2/alerts" if case.fault.startswith(OF_ALERTS) else "")
    for case in (*PASSING, *LIMITED, *HARMLESS, *ANSWERS)
    if not case.fault.startswith(NOT_HERE)
} | {
    "401": "401",
    "connections refused": "refuse:seconds=0.5",
    "an `after` that the API does not know": "after:as=unknown,query=after=",
    "a Date a day ahead": "date:offset=86400",
    "a Date a day behind": "date:offset=-86400",
}


@dataclass(frozen=True)
class Outcome:
    """What came of one seed.

    Attributes:
        seed: the seed; the same gives the same account.
        protocol: airbyte or singer.
        runs: how many syncs it took until one ended well.
        requests: how many requests were made in all of them.
        injected: by fault, how often it struck.
        records: how many records the account has of the streams.
        lost: how many of them the destination lacks, or holds otherwise.
        doubled: how many records of incremental streams came again.
        doubled_full: the same of streams that are read in full whenever a sync starts.
    """

    seed: int
    protocol: str
    runs: int
    requests: int
    injected: Counter[str]
    records: int
    lost: list[str]
    doubled: int
    doubled_full: int

    def __str__(self) -> str:
        return (
            f"seed {self.seed} ({self.protocol}): {self.runs} syncs, {self.requests} requests, "
            f"{self.injected.total()} faults, {self.records} records, {len(self.lost)} lost, {self.doubled} doubled "
            f"(and {self.doubled_full} of streams without a cursor)" + "".join(f"\n  {line}" for line in self.lost[:20])
        )


def injected(rate: float) -> list[str]:
    """All faults for the sandbox, each as likely as the next, which together strike that share of the requests."""
    # The sandbox asks one fault after the other, and those behind see what the ones before let through.
    left = [rate / len(FAULTS) / (1 - rate * place / len(FAULTS)) for place in range(len(FAULTS))]
    return [
        f"{fault}{',' if ':' in fault else ':'}rate={share:.6f}"
        for fault, share in zip(FAULTS.values(), left, strict=True)
    ]


def one(seed: int, rate: float, incidents: int, directory: Path) -> Outcome:
    """One destination, filled by syncs that meet every fault, until one of them ends well."""
    protocol = PROTOCOLS[seed % len(PROTOCOLS)]
    company: dict[str, Any] = dict.fromkeys(("updates", "actions", "follow_ups", "alerts"), incidents * 2)
    with Sandbox(process=True, seed=seed, incidents=incidents, escalations=incidents // 2, **company) as sandbox:
        config = {"api_key": sandbox.key, "endpoint": sandbox.url, "request_timeout": 3}
        taps = {name: Tap(name, config, directory / f"{seed}-{name}") for name in PROTOCOLS}
        catalog = Catalog(*(taps[name].discover() for name in PROTOCOLS))
        account = Account(sandbox).of(STREAMS)
        chosen = catalog.of(protocol, STREAMS)
        destination = Destination(catalog.keys)
        sandbox.reset()
        sandbox.config(fault=injected(rate))
        state, runs = None, 0
        while runs < MOST_RUNS:
            runs += 1
            run = taps[protocol].read(chosen, state)
            if run.code not in (0, 1) or "the connector failed" in run.log:
                raise RuntimeError(f"seed {seed}: exit {run.code}: {run.log[-2000:]}")
            destination.load(run)
            state = merged(state, run)
            if run.code == 0:
                break
        else:
            raise RuntimeError(f"seed {seed}: no sync of {MOST_RUNS} ended well")
        struck = dict(zip(FAULTS, sandbox.faults(), strict=True))
        incremental = [name for name in STREAMS if name in catalog.incremental]
        return Outcome(
            seed,
            protocol,
            runs,
            sandbox.requests(log=False)["total"],
            Counter({name: fault["struck"] for name, fault in struck.items()}),
            sum(map(len, account.values())),
            list(differences(destination, account)),
            destination.doubled(incremental),
            destination.doubled([name for name in STREAMS if name not in incremental]),
        )


def merged(state: Any, run: Run) -> Any:
    """What a platform hands to the next sync: in Airbyte's protocol the newest state that it has of each stream."""
    if run.protocol != AIRBYTE:
        return run.state or state
    by_stream = {item["stream"]["stream_descriptor"]["name"]: item for item in [*(state or []), *(run.state or [])]}
    return list(by_stream.values()) or None


def outcomes(seeds: range, *, rate: float = RATE, incidents: int, side_by_side: int = 2) -> Iterator[Outcome]:
    """What comes of the seeds, in their order."""
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(side_by_side) as executor:
        yield from executor.map(lambda seed: one(seed, rate, incidents, Path(directory)), seeds)


def summary(done: list[Outcome]) -> str:
    """The figures of some seeds."""
    faults = sum((outcome.injected for outcome in done), Counter[str]())
    kinds = "".join(f"\n  {faults[name]:5} {name}" for name in FAULTS)
    return (
        f"{len(done)} seeds: {sum(outcome.runs for outcome in done)} syncs, "
        f"{sum(outcome.requests for outcome in done)} requests, {faults.total()} faults, "
        f"{sum(outcome.records for outcome in done)} records, {sum(len(outcome.lost) for outcome in done)} lost, "
        f"{sum(outcome.doubled for outcome in done)} doubled (and {sum(outcome.doubled_full for outcome in done)} of "
        f"streams without a cursor)\nfaults by kind:{kinds}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.soak.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rate", type=float, default=RATE, help="the share of the requests that is struck")
    parser.add_argument("--incidents", type=int, default=1500, help="how large the account is")
    arguments = parser.parse_args()
    done = []
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    for outcome in outcomes(seeds, rate=arguments.rate, incidents=arguments.incidents):
        done.append(outcome)
        print(outcome, flush=True)
    print(summary(done))
    return int(any(outcome.lost for outcome in done))


if __name__ == "__main__":
    sys.exit(main())
