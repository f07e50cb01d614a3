"""Killed syncs, with faults, of an account that changes, loses records and gets new fields. A full read ends each seed.

At the end the destination has the rows of the account and no others.

`python -m integration_tests.soak.moving --seeds 20`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from integration_tests.soak.faults import faults_at_rate, merge_state
from integration_tests.soak.kill import STREAMS
from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences, key_of
from integration_tests.support.sandboxes import timestamp
from integration_tests.support.tap import AIRBYTE, PROTOCOLS, SINGER, Run, Tap
from sandbox import Sandbox

COMPANY: dict[str, Any] = {"incidents": 200, "updates": 400, "actions": 200, "follow_ups": 150, "alerts": 400}
CHANGES_PER_SECOND = 40.0
LOSING = ("actions", "follow_ups", "alerts", "escalations")
DELETES = 8
NEW_FIELD = "new_field"
RATE = 0.02
MAX_RUNS = 60


@dataclass
class VersionedDestination(Destination):
    """A destination that removes rows: at ACTIVATE_VERSION, or when a full refresh of Airbyte is complete."""

    versions: dict[str, dict[Any, int | None]] = field(default_factory=dict)
    removed: int = 0

    def load(self, run: Run) -> None:
        super().load(run)
        for message in run.messages:
            if message["type"] == "RECORD" and run.protocol == SINGER:
                self._note(message["stream"], message["record"], message.get("version"))
            elif message["type"] == "RECORD":
                self._note(message["record"]["stream"], message["record"]["data"], None)
            elif message["type"] == "ACTIVATE_VERSION":
                self._keep(message["stream"], message["version"])

    def begin_generation(self) -> None:
        """Begin a full refresh with overwrite."""
        self.versions.clear()

    def end_generation(self, streams: tuple[str, ...]) -> None:
        """Drop the rows that the full refresh did not emit."""
        for name in streams:
            self._keep(name, None)

    def _note(self, stream: str, record: dict[str, Any], version: int | None) -> None:
        self.versions.setdefault(stream, {})[key_of(record, self.keys[stream])] = version

    def _keep(self, stream: str, version: int | None) -> None:
        versions = self.versions.get(stream, {})
        kept = {key: row for key, row in self.rows[stream].items() if key in versions and versions[key] == version}
        self.removed += len(self.rows[stream]) - len(kept)
        self.rows[stream] = kept


@dataclass(frozen=True)
class Outcome:
    """Result of one seed.

    Attributes:
        seed: the seed.
        protocol: airbyte or singer.
        syncs: how many syncs there were.
        kills: how many of them were killed.
        faults: how many requests a fault hit.
        deleted: how many records were deleted.
        removed: how many rows left the destination.
        differences: between the destination and the account.
    """

    seed: int
    protocol: str
    syncs: int
    kills: int
    faults: int
    deleted: int
    removed: int
    differences: list[str]

    def __str__(self) -> str:
        return (
            f"seed {self.seed} ({self.protocol}): {self.syncs} syncs, {self.kills} kills, {self.faults} faults, "
            f"{self.deleted} deletes, {self.removed} rows removed, "
            f"{len(self.differences)} differences" + "".join(f"\n  {line}" for line in self.differences[:20])
        )


class MovingAccount:
    """One seed: its sandbox, its connector and its destination."""

    def __init__(self, seed: int, sandbox: Sandbox, directory: Path) -> None:
        self._random = Random(seed)
        self._seed = seed
        self._sandbox = sandbox
        self._protocol = PROTOCOLS[seed % len(PROTOCOLS)]
        config = {"api_key": sandbox.key, "endpoint": sandbox.url, "num_workers": 1 + seed % 10, "request_timeout": 3}
        taps = {name: Tap(name, config, directory / f"moving-{seed}-{name}") for name in PROTOCOLS}
        self._tap = taps[self._protocol]
        self._catalog = Catalog(*(taps[name].discover() for name in PROTOCOLS))
        self._destination = VersionedDestination(self._catalog.keys)
        self._state: Any = None
        self._counts: Counter[str] = Counter()

    def run(self) -> Outcome:
        """Sync while the account moves, then read it in full."""
        incremental = self._catalog.of(self._protocol, STREAMS)
        full = self._catalog.of(self._protocol, STREAMS, full=STREAMS)
        self._sandbox.config(fault=faults_at_rate(RATE))
        for _ in range(3):
            self._sync(incremental, is_killed=True)
            self._lose_records()
        self._sandbox.config(churn=0)
        self._sync_until_complete(incremental)
        self._lose_records()
        if self._protocol == AIRBYTE:
            self._state = None
            self._destination.begin_generation()
        self._sync(full, is_killed=True)
        self._sync_until_complete(full)
        if self._protocol == AIRBYTE:
            self._destination.end_generation(STREAMS)
        return Outcome(
            self._seed,
            self._protocol,
            self._counts["syncs"],
            self._counts["kills"],
            sum(fault["struck"] for fault in self._sandbox.faults()),
            self._counts["deletes"],
            self._destination.removed,
            list(differences(self._destination, {name: self._expected(name) for name in STREAMS})),
        )

    def _sync(self, catalog: Any, *, is_killed: bool) -> Run:
        self._counts["syncs"] += 1
        arguments = self._tap.read_arguments(catalog, self._state)
        if is_killed:
            run = self._tap.read_until(self._random.randint(1, 2500), *arguments, drain=True)
            self._counts["kills"] += run.code == -9
        else:
            run = self._tap.read(catalog, self._state)
        if run.code not in (0, 1, -9) or "the connector failed" in run.log:
            raise RuntimeError(f"seed {self._seed}: exit {run.code}: {run.log[-2000:]}")
        self._destination.load(run)
        self._state = merge_state(self._state, run)
        return run

    def _sync_until_complete(self, catalog: Any) -> None:
        for _ in range(MAX_RUNS):
            if self._sync(catalog, is_killed=False).code == 0:
                return
        raise RuntimeError(f"seed {self._seed}: none of {MAX_RUNS} syncs succeeded")

    def _lose_records(self) -> None:
        """Delete some records, and give others a field that no release declares."""
        for name in LOSING:
            records = self._sandbox.records(name)
            gone = self._random.sample(records, min(DELETES, len(records)))
            self._counts["deletes"] += self._sandbox.delete(name, [record["id"] for record in gone])
        alerts = self._random.sample(self._sandbox.records("alerts"), DELETES)
        now = timestamp(datetime.now(UTC))
        self._sandbox.put(
            "alerts", [{**alert, NEW_FIELD: self._random.random(), "updated_at": now} for alert in alerts]
        )

    def _expected(self, name: str) -> list[dict[str, Any]]:
        records = Account(self._sandbox).stream(name)
        for record in records:
            if NEW_FIELD in record:
                record["_undeclared"] = {NEW_FIELD: record.pop(NEW_FIELD)}
        return records


def run_seed(seed: int, directory: Path) -> Outcome:
    """Run one seed, in a sandbox of its own."""
    with Sandbox(process=True, seed=seed, churn=CHANGES_PER_SECOND, **COMPANY) as sandbox:
        return MovingAccount(seed, sandbox, directory).run()


def outcomes(seeds: range, *, parallel: int = 2) -> Iterator[Outcome]:
    """Run the seeds and yield their results in order."""
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(parallel) as executor:
        yield from executor.map(lambda seed: run_seed(seed, Path(directory)), seeds)


def summary(results: list[Outcome]) -> str:
    """Return the totals of some seeds in one line."""
    names = ("syncs", "kills", "faults", "deleted", "removed")
    totals = ", ".join(f"{sum(getattr(outcome, name) for outcome in results)} {name}" for name in names)
    return f"{len(results)} seeds: {totals}, {sum(bool(outcome.differences) for outcome in results)} with differences"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.soak.moving", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds")
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
