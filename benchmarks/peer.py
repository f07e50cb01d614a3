"""The sync engine compared with the CDK's concurrent source (`benchmarks/concurrent_source.py`) on the same streams.

Both read incidents without nested columns, because only the sync engine adds those.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.common import ACCOUNT, RUNS, Process, Result, command_to_read, main, run
from sandbox import Sandbox
from source_incident.connector import Connector

COMPARED = "compared with the CDK's concurrent source:"
LATENCY = 0.150
WORKERS = 10
NESTED = ["attachments", "updates", "actions"]
SMALL: dict[str, Any] = {"incidents": 1000, "updates": 100_000, "plain": True, "preload": True}


def measure() -> Iterator[Result]:
    config = {"api_key": "names-only"}
    names = [item.stream.name for item in Connector().default_catalog(config).streams]
    streams = {name: NESTED if name == "incidents" else [] for name in names}
    with Sandbox(process=True, preload=True, **ACCOUNT) as sandbox:
        _read_with_engine(sandbox, streams)
        sandbox.config(latency=LATENCY * 1000)
        measured = []
        for reading in (_read_with_engine, _read_with_cdk):
            sandbox.reset()
            seconds = statistics.median(reading(sandbox, streams).seconds for _ in range(RUNS))
            measured.append((sandbox.requests(log=False)["total"] / RUNS, seconds))
    requests, times = zip(*measured, strict=True)
    yield Result(f"{COMPARED} requests", requests[0], requests[1], 1.0, "requests")
    yield Result(f"{COMPARED} 150 ms latency", times[0], times[1], 1.0, "s")
    small: dict[str, Sequence[str]] = {"incident_updates": []}
    with Sandbox(process=True, **SMALL) as sandbox:
        _read_with_engine(sandbox, small)
        both = [
            [_processor(reading(sandbox, small)) for reading in (_read_with_engine, _read_with_cdk)]
            for _ in range(RUNS)
        ]
    engine, cdk = (statistics.median(seconds) for seconds in zip(*both, strict=True))
    yield Result(f"{COMPARED} processor, 100,000 incident_updates", engine, cdk, 1.0, "s")


def _read_with_engine(sandbox: Sandbox, streams: Mapping[str, Sequence[str]]) -> Process:
    with command_to_read(sandbox, streams=streams, module="benchmarks.measured", workers=WORKERS) as command:
        return run(*command)


def _read_with_cdk(sandbox: Sandbox, streams: Mapping[str, Sequence[str]]) -> Process:
    environment = {"INCIDENT_API_KEY": sandbox.key, "INCIDENT_ENDPOINT": sandbox.url}
    return run([sys.executable, "-m", "benchmarks.concurrent_source", str(WORKERS), *streams], environment)


def _processor(process: Process) -> float:
    return float(process.stderr.splitlines()[-1])


if __name__ == "__main__":
    main(measure)
