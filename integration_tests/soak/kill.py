"""Syncs that are killed at random moments and resumed. At the end the destination has to equal the account.

`python -m integration_tests.soak.kill --seeds 500`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.tap import AIRBYTE, PROTOCOLS, SINGER, Tap
from sandbox import Sandbox

COMPANY = {
    "incidents": 600,
    "updates": 1500,
    "actions": 600,
    "follow_ups": 300,
    "alerts": 1500,
    "escalations": 400,
}
STREAMS = (
    "incidents",
    "actions",
    "follow_ups",
    "incident_updates",
    "alerts",
    "escalations",
    "severities",
    "custom_field_options",
    "users",
)
# One request per incident, so only one seed of three reads it.
BY_INCIDENT = "incident_attachments"
MAX_WORKERS = 20
MAX_KILLS = 3
CHANGES_PER_SECOND = 40.0


@dataclass(frozen=True)
class Outcome:
    """Result of one seed.

    Attributes:
        seed: the seed. The same seed gives the same kills.
        scenario: the protocol and the other choices of the seed.
        kills: how often the sync was killed.
        differences: differences between the destination and the account.
        records: number of records of the streams in the account.
        duplicates: number of records of incremental streams that were emitted again because of the kills.
        duplicates_full: the same for streams without a cursor, which are read in full by every sync.
    """

    seed: int
    scenario: str
    kills: int
    differences: list[str]
    records: int
    duplicates: int
    duplicates_full: int

    def __str__(self) -> str:
        return (
            f"seed {self.seed} ({self.scenario}): {self.kills} kills, {self.records} records, "
            f"{self.duplicates} duplicates and {self.duplicates_full} of streams without a cursor"
            + "".join(f"\n  {line}" for line in self.differences[:20])
        )


class Killer:
    """Runs seeds against one sandbox whose account does not change."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self._directory = directory
        self._config = {"api_key": sandbox.key, "endpoint": sandbox.url}
        taps = {name: Tap(name, self._config, directory / name) for name in PROTOCOLS}
        self.catalog = Catalog(taps[AIRBYTE].discover(), taps[SINGER].discover())
        self._account = Account(sandbox).of([*STREAMS, BY_INCIDENT])

    def run(self, seed: int) -> Outcome:
        """Kill a sync up to `MAX_KILLS` times, then let it finish."""
        random = Random(seed)
        protocol = PROTOCOLS[seed % len(PROTOCOLS)]
        names = [*STREAMS, *([BY_INCIDENT] if seed % 3 == 0 else [])]
        workers = 1 + seed % MAX_WORKERS
        tap = Tap(protocol, {**self._config, "num_workers": workers}, self._directory / f"seed-{seed}")
        catalog = self.catalog.of(protocol, names)
        destination = Destination(self.catalog.keys)
        state, kills = None, 0
        remaining = sum(len(self._account[name]) for name in names)
        for _ in range(random.randint(1, MAX_KILLS)):
            run = tap.read_until(
                random.randint(1, max(2, int(remaining * 1.1))),
                *tap.read_arguments(catalog, state),
                drain=random.random() < 0.5,
            )
            destination.load(run)
            if run.code == 0:
                break
            if run.code != -9:
                raise RuntimeError(f"seed {seed}: exit {run.code}: {run.log[-2000:]}")
            kills += 1
            state = run.state or state
            remaining = max(20, remaining // 2)
        else:
            destination.load(tap.read(catalog, state).ok())
        incremental = [name for name in names if name in self.catalog.incremental]
        return Outcome(
            seed,
            f"{protocol}, {workers} workers" + (f", {BY_INCIDENT}" if BY_INCIDENT in names else ""),
            kills,
            list(differences(destination, {name: self._account[name] for name in names})),
            sum(len(self._account[name]) for name in names),
            destination.duplicates(incremental),
            destination.duplicates([name for name in names if name not in incremental]),
        )


def run_changing_account(seed: int, catalog: Catalog, directory: Path) -> Outcome:
    """Kill syncs of an account that changes; when it stops changing, one more sync has to complete the destination."""
    random = Random(seed)
    protocol = PROTOCOLS[seed % len(PROTOCOLS)]
    company = {"incidents": 300, "updates": 600, "actions": 200, "alerts": 500}
    with Sandbox(process=True, seed=seed, churn=CHANGES_PER_SECOND, **company) as sandbox:  # type: ignore[arg-type]
        config = {"api_key": sandbox.key, "endpoint": sandbox.url, "num_workers": 1 + seed % MAX_WORKERS}
        tap = Tap(protocol, config, directory / f"changing-{seed}")
        selected = catalog.of(protocol, STREAMS)
        destination = Destination(catalog.keys)
        state, kills = None, 0
        for max_lines in (2500, 1500):
            run = tap.read_until(random.randint(1, max_lines), *tap.read_arguments(selected, state), drain=True)
            destination.load(run)
            state = run.state or state
            kills += run.code == -9
        for is_quiet in (False, True):
            if is_quiet:
                sandbox.config(churn=0)
            run = tap.read(selected, state).ok()
            destination.load(run)
            state = run.state
        account = Account(sandbox).of(STREAMS)
        incremental = [name for name in STREAMS if name in catalog.incremental]
        return Outcome(
            seed,
            f"{protocol}, changing account",
            kills,
            list(differences(destination, account)),
            sum(map(len, account.values())),
            destination.duplicates(incremental),
            destination.duplicates([name for name in STREAMS if name not in incremental]),
        )


def outcomes(seeds: range, *, changing_every: int = 10, parallel: int = 2) -> Iterator[Outcome]:
    """Run the seeds and yield their results in order. Every `changing_every`th seed has an account that changes."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Sandbox(process=True, **COMPANY) as sandbox,  # type: ignore[arg-type]
        ThreadPoolExecutor(parallel) as executor,
    ):
        killer = Killer(sandbox, Path(directory))

        def outcome(seed: int) -> Outcome:
            if seed % changing_every == changing_every - 1:
                return run_changing_account(seed, killer.catalog, Path(directory))
            return killer.run(seed)

        yield from executor.map(outcome, seeds)


def summary(results: list[Outcome]) -> str:
    """Return the totals of some seeds in one line."""
    return (
        f"{len(results)} seeds: {sum(outcome.kills for outcome in results)} kills, "
        f"{sum(outcome.records for outcome in results)} records, "
        f"{sum(outcome.duplicates for outcome in results)} duplicates (and "
        f"{sum(outcome.duplicates_full for outcome in results)} of streams without a cursor), "
        f"{sum(bool(outcome.differences) for outcome in results)} seeds with differences"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.soak.kill", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="number of seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    results = []
    for outcome in outcomes(range(arguments.first, arguments.first + arguments.seeds)):
        results.append(outcome)
        print(outcome, flush=True)
    print(summary(results))
    return int(any(outcome.differences for outcome in results))


if __name__ == "__main__":
    sys.exit(main())
