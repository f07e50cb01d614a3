"""The processor time that a read takes, less that of importing, against reading the same pages with bare libraries.

The floor is `benchmarks/floor.py`: requests reads the pages, orjson parses them and writes the lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.common import Process, Result, main, median, read, run
from integration_tests.sandbox import Sandbox

# As the program imports them: without the garbage collector, which would make the importing look longer than it is.
IMPORTS = "import gc; gc.disable(); import source_incident.run; source_incident.run._import_source()"
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
    what: str, sandbox: Sandbox, streams: Mapping[str, Sequence[str]], stream: str, runs: int = 3
) -> Iterator[Result]:
    # A first reading fills the sandbox's caches, so that it takes the same part in every run.
    bare = [sys.executable, "-m", "benchmarks.floor"]
    run([*bare, stream, sandbox.url, sandbox.key])
    floor = median(lambda: _less(run([*bare, stream, sandbox.url, sandbox.key]), run(bare)), runs)
    for singer in (False, True):
        seconds = median(
            lambda singer=singer: _less(
                read(sandbox, streams=streams, singer=singer), run([sys.executable, "-c", IMPORTS])
            ),
            runs,
        )
        yield Result(f"processor, {what}, {'Singer' if singer else 'Airbyte'}", seconds, floor, 2.0, "s")


def _less(whole: Process, imports: Process) -> float:
    return whole.processor - imports.processor


if __name__ == "__main__":
    main(measure)
