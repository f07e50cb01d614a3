"""Shared by the benchmarks: measuring a program, results and the table that shows them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sandbox import Sandbox

PROGRAM = (sys.executable, "-m", "source_incident")
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
# The size of the account that the documented figures refer to.
ACCOUNT: dict[str, Any] = {"incidents": 500, "alerts": 2000, "actions": 500, "follow_ups": 500, "updates": 2000}


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Attributes:
        point: what is measured.
        measured, floor: the value and its lower bound, in `unit`.
        bound: the maximum of the ratio of the two, or of `measured` if `absolute` is set.
    """

    point: str
    measured: float
    floor: float
    bound: float
    unit: str
    absolute: bool = False

    @property
    def ratio(self) -> float:
        return self.measured / self.floor if self.floor else 0.0

    @property
    def is_within_bound(self) -> bool:
        return (self.measured if self.absolute else self.ratio) <= self.bound


@dataclass(frozen=True)
class Process:
    """A finished process.

    Attributes:
        seconds: wall time.
        memory: peak resident memory in MB.
        stderr: its text.
    """

    seconds: float
    memory: float
    stderr: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
    """Run a program until it exits. Its stdout is discarded.

    Raises:
        RuntimeError: the exit code is not 0; the message has the end of stderr.
    """
    with tempfile.TemporaryFile() as stderr:
        started_at = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=stderr, env={**os.environ, **(environment or {})}
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started_at
        process.returncode = code = os.waitstatus_to_exitcode(status)
        stderr.seek(0)
        text = stderr.read().decode()
    if code:
        raise RuntimeError(f"{' '.join(command)} failed with exit code {code}: {text[-2000:]}")
    return Process(seconds, usage.ru_maxrss / 1024, text)


def read(
    sandbox: Sandbox, *, streams: Mapping[str, Iterable[str]] | None = None, singer: bool = False, workers: int = 10
) -> Process:
    """Run a first sync from a sandbox.

    Args:
        streams: the columns to leave out by stream to read. None: the default streams.
    """
    with command_to_read(sandbox, streams=streams, singer=singer, workers=workers) as (command, environment):
        return run(command, environment)


@contextmanager
def command_to_read(
    sandbox: Sandbox,
    *,
    streams: Mapping[str, Iterable[str]] | None = None,
    singer: bool = False,
    workers: int = 10,
    module: str = "source_incident",
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The command of a first sync and its environment. They are valid inside the context."""
    environment = {
        "INCIDENT_API_KEY": sandbox.key,
        "INCIDENT_ENDPOINT": sandbox.url,
        "INCIDENT_NUM_WORKERS": str(workers),
    }
    command = [sys.executable, "-m", module, *(["--singer"] if singer else ["read"]), "--config", "ENV"]
    if streams is None:
        yield command, environment
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(catalog(streams), file)
        file.flush()
        yield [*command, "--catalog", file.name], environment


def catalog(streams: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """A configured catalog: `streams` has the columns to leave out by stream."""
    discovered = {stream["name"]: stream for stream in _discover()}
    configured = []
    for name, excluded_columns in streams.items():
        stream = json.loads(json.dumps(discovered[name]))
        for column in excluded_columns:
            del stream["json_schema"]["properties"][column]
        mode = stream["supported_sync_modes"][-1]
        configured.append({"stream": stream, "sync_mode": mode, "destination_sync_mode": "append"})
    return {"streams": configured}


@cache
def _discover() -> list[dict[str, Any]]:
    completed = subprocess.run(
        [*PROGRAM, "discover", "--config", "ENV"],
        env={**os.environ, "INCIDENT_API_KEY": "none"},
        stdout=subprocess.PIPE,
        check=True,
    )
    messages = [json.loads(line) for line in completed.stdout.splitlines()]
    streams: list[dict[str, Any]] = next(m["catalog"]["streams"] for m in messages if m["type"] == "CATALOG")
    return streams


def median(measure: Callable[[], float], runs: int = RUNS) -> float:
    return statistics.median(measure() for _ in range(runs))


def table(results: Iterable[Result]) -> str:
    """The results as a Markdown table."""
    lines = ["| point | floor | measured | ratio | bound | |", "| --- | --: | --: | --: | --: | --- |"]
    for result in results:
        ratio = "" if result.absolute else f"{result.ratio:.2f}"
        bound = f"{result.bound:g} {result.unit}" if result.absolute else f"{result.bound:g}"
        floor = "" if result.absolute else f"{result.floor:,.2f}".removesuffix(".00")
        measured = f"{result.measured:,.2f}".removesuffix(".00")
        verdict = "yes" if result.is_within_bound else "MISSED"
        lines.append(f"| {result.point} | {floor} | {measured} {result.unit} | {ratio} | {bound} | {verdict} |")
    return "\n".join(lines)


def main(measure: Callable[[], Iterable[Result]]) -> None:
    """Print the table of one benchmark."""
    os.chdir(Path(__file__).parents[1])
    print(table(measure()))
