"""Syncs that are killed at random moments and resumed, again and again: nothing may be missing at the end.

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
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, PROTOCOLS, SINGER, Catalog, Destination, Tap
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
# A list asked for incident by incident: read in one seed of three, for its hundreds of requests.
BY_INCIDENT = "incident_attachments"
MOST_WORKERS = 20
MOST_KILLS = 3
CHURN = 40.0


@dataclass(frozen=True)
class Outcome:
    """What came of one seed.

    Attributes:
        seed: the seed; the same gives the same kills.
        what: the protocol and what else the seed chose.
        kills: how often the sync was killed.
        wrong: what the destination lacks, has too much or holds otherwise than the account.
        records: how many records the account has of the streams.
        doubled: how many records of incremental streams came again, because of the kills.
        doubled_full: the same of the streams that are read in full whenever a sync starts.
    """

    seed: int
    what: str
    kills: int
    wrong: list[str]
    records: int
    doubled: int
    doubled_full: int

    def __str__(self) -> str:
        return (
            f"seed {self.seed} ({self.what}): {self.kills} kills, {self.records} records, {self.doubled} came twice "
            f"and {self.doubled_full} of streams without a cursor" + "".join(f"\n  {line}" for line in self.wrong[:20])
        )


class Killer:
    """Runs seeds against one sandbox, whose account stays as it is."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self._sandbox = sandbox
        self._directory = directory
        self._config = {"api_key": sandbox.key, "endpoint": sandbox.url}
        taps = {name: Tap(name, self._config, directory / name) for name in PROTOCOLS}
        self.catalog = Catalog(taps[AIRBYTE].discover(), taps[SINGER].discover())
        self._account = Account(sandbox).of([*STREAMS, BY_INCIDENT])

    def seed(self, seed: int) -> Outcome:
        """One destination, filled by a sync that is killed up to `MOST_KILLS` times and then left to finish."""
        random = Random(seed)
        protocol = PROTOCOLS[seed % len(PROTOCOLS)]
        names = [*STREAMS, *([BY_INCIDENT] if seed % 3 == 0 else [])]
        workers = 1 + seed % MOST_WORKERS
        tap = Tap(protocol, {**self._config, "num_workers": workers}, self._directory / f"seed-{seed}")
        catalog = self.catalog.of(protocol, names)
        destination = Destination(self.catalog.keys)
        state, kills = None, 0
        left = sum(len(self._account[name]) for name in names)
        for _ in range(random.randint(1, MOST_KILLS)):
            run = tap.read_until(
                random.randint(1, max(2, int(left * 1.1))),
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
            left = max(20, left // 2)
        else:
            destination.load(tap.read(catalog, state).ok())
        incremental = [name for name in names if name in self.catalog.incremental]
        return Outcome(
            seed,
            f"{protocol}, {workers} workers" + (f", {BY_INCIDENT}" if BY_INCIDENT in names else ""),
            kills,
            list(differences(destination, {name: self._account[name] for name in names})),
            sum(len(self._account[name]) for name in names),
            destination.doubled(incremental),
            destination.doubled([name for name in names if name not in incremental]),
        )


def moving(seed: int, catalog: Catalog, directory: Path) -> Outcome:
    """The same of an account that changes meanwhile; at the end it rests, and one more sync comes to all of it."""
    random = Random(seed)
    protocol = PROTOCOLS[seed % len(PROTOCOLS)]
    with Sandbox(process=True, seed=seed, churn=CHURN, incidents=300, updates=600, actions=200, alerts=500) as sandbox:
        config = {"api_key": sandbox.key, "endpoint": sandbox.url, "num_workers": 1 + seed % MOST_WORKERS}
        tap = Tap(protocol, config, directory / f"moving-{seed}")
        chosen = catalog.of(protocol, STREAMS)
        destination = Destination(catalog.keys)
        state, kills = None, 0
        for left in (2500, 1500):
            run = tap.read_until(random.randint(1, left), *tap.read_arguments(chosen, state), drain=True)
            destination.load(run)
            state = run.state or state
            kills += run.code == -9
        for rest in (False, True):
            if rest:
                sandbox.config(churn=0)
            run = tap.read(chosen, state).ok()
            destination.load(run)
            state = run.state
        account = Account(sandbox).of(STREAMS)
        incremental = [name for name in STREAMS if name in catalog.incremental]
        return Outcome(
            seed,
            f"{protocol}, moving account",
            kills,
            list(differences(destination, account)),
            sum(map(len, account.values())),
            destination.doubled(incremental),
            destination.doubled([name for name in STREAMS if name not in incremental]),
        )


def outcomes(seeds: range, *, moving_every: int = 10, side_by_side: int = 2) -> Iterator[Outcome]:
    """What comes of the seeds, in their order; of every `moving_every`th, with an account that moves."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Sandbox(process=True, **COMPANY) as sandbox,  # type: ignore[arg-type]
        ThreadPoolExecutor(side_by_side) as executor,
    ):
        killer = Killer(sandbox, Path(directory))

        def outcome(seed: int) -> Outcome:
            if seed % moving_every == moving_every - 1:
                return moving(seed, killer.catalog, Path(directory))
            return killer.seed(seed)

        yield from executor.map(outcome, seeds)


def summary(done: list[Outcome]) -> str:
    """The figures of some seeds in one line."""
    return (
        f"{len(done)} seeds: {sum(one.kills for one in done)} kills, {sum(one.records for one in done)} records, "
        f"{sum(one.doubled for one in done)} came twice (and {sum(one.doubled_full for one in done)} of streams "
        f"without a cursor), {sum(bool(one.wrong) for one in done)} seeds with a wrong destination"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.soak.kill", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    done = []
    for outcome in outcomes(range(arguments.first, arguments.first + arguments.seeds)):
        done.append(outcome)
        print(outcome, flush=True)
    print(summary(done))
    return int(any(one.wrong for one in done))


if __name__ == "__main__":
    sys.exit(main())
