"""Deterministic simulation: `python -m integration_tests.soak.simulate --accounts N [--seed S]`.

Each account runs the real engine in memory, with a virtual clock and a seeded scheduler. A failure names the seed that
replays it, event by event: `--seed S --account I --trace`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from integration_tests.soak.planted_bugs import BUGS, catches
from integration_tests.soak.simulation.run import Outcome, simulate


def simulate_all(seed: int, accounts: Sequence[int]) -> Iterator[Outcome]:
    """Simulate accounts of a seed."""
    for account in accounts:
        yield simulate(f"{seed}:{account}")


def plant(text: str, runs: int, accounts: int) -> int:
    """Print how often each planted bug is caught."""
    bugs = tuple(bug for bug in BUGS if text in bug.name)
    print(f"| planted bug | runs of {accounts} accounts | caught | on average |\n| --- | --- | --- | --- |")
    is_enough = True
    for catch in catches(bugs, runs, accounts):
        print(catch, flush=True)
        is_enough &= catch.is_enough
    return 0 if is_enough else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=200, help="how many accounts (200)")
    parser.add_argument("--seed", type=int, default=0, help="the seed (0)")
    parser.add_argument("--account", type=int, help="replay this account alone")
    parser.add_argument("--trace", action="store_true", help="print every event of the account")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    parser.add_argument(
        "--planted", action="store_true", help="plant bugs into copies of the engine, and count catches"
    )
    parser.add_argument("--runs", type=int, default=10, help="with --planted, runs per bug (10)")
    parser.add_argument("--bug", default="", help="with --planted, only bugs whose name has this text")
    args = parser.parse_args(arguments)
    if args.planted:
        return plant(args.bug, args.runs, args.accounts)
    logging.disable(logging.CRITICAL)
    accounts = range(args.accounts) if args.account is None else [args.account]
    started_at = time.monotonic()
    counts: Counter[str] = Counter()
    failed = 0
    for number, outcome in zip(accounts, simulate_all(args.seed, accounts), strict=True):
        counts += outcome.counts
        if args.trace:
            print(*outcome.trace, sep="\n")
        if args.account is not None:
            print(f"digest {outcome.digest}")
        if outcome.violation:
            failed += 1
            print(f"account {number} of seed {args.seed}: {outcome.violation}")
            print(f"replay: python -m integration_tests.soak.simulate --seed {args.seed} --account {number} --trace\n")
            if args.stop:
                break
    seconds = time.monotonic() - started_at
    events = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    print(f"{len(accounts)} accounts, {failed} failed; {events}; {seconds:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
