"""The processor time that a read takes, less that of importing, against reading the same pages with bare libraries.

The floor is `benchmarks/floor.py`: requests reads the pages, orjson parses them and writes the lines.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.common import RUNS, Process, Result, main, read, run
from integration_tests.sandbox import Sandbox

# As the program imports them: without the garbage collector, which would make the importing look longer than it is.
IMPORTS = [
    sys.executable,
    "-c",
    "import gc; gc.disable(); import source_incident.run; source_incident.run._import_source()",
]
SMALL = 100_000
NESTED = 20_000


def measure() -> Iterator[Result]:
    small = {"incidents": 1000, "updates": SMALL, "plain": True, "preload": True}
    with Sandbox(process=True, **small) as sandbox:
        yield from _modes(f"{SMALL:,} incident_updates", sandbox, {"incident_updates": []}, "incident_updates")
    nested = {"incidents": NESTED, "updates": 2 * NESTED, "actions": NESTED, "preload": True}
    with Sandbox(process=True, **nested) as sandbox:
        yield from _modes(f"{NESTED:,} nested incidents", sandbox, {"incidents": []}, "incidents", runs=1)


def _modes(
    what: str, sandbox: Sandbox, streams: Mapping[str, Sequence[str]], stream: str, runs: int = RUNS
) -> Iterator[Result]:
    """Floor and connector are measured in turns, so that the machine's other work hits all alike."""
    bare = [sys.executable, "-m", "benchmarks.floor"]
    # A first reading fills the sandbox's caches, so that it takes the same part in every run.
    run([*bare, stream, sandbox.url, sandbox.key])
    turns: dict[str, Callable[[], float]] = {
        "floor": lambda: _less(run([*bare, stream, sandbox.url, sandbox.key]), run(bare)),
        "Airbyte": lambda: _less(read(sandbox, streams=streams), run(IMPORTS)),
        "Singer": lambda: _less(read(sandbox, streams=streams, singer=True), run(IMPORTS)),
    }
    rounds = [{name: turn() for name, turn in turns.items()} for _ in range(runs)]
    medians = {name: statistics.median(one[name] for one in rounds) for name in turns}
    floor = medians.pop("floor")
    for name, seconds in medians.items():
        yield Result(f"processor, {what}, {name}", seconds, floor, 2.0, "s")


def _less(whole: Process, imports: Process) -> float:
    return whole.processor - imports.processor


if __name__ == "__main__":
    main(measure)
