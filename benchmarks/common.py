"""What the benchmarks share: running a program and taking its measure, results and how they are printed."""

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
# The account that the project's figures are about.
ACCOUNT: dict[str, Any] = {"incidents": 500, "alerts": 2000, "actions": 500, "follow_ups": 500, "updates": 2000}


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        measured, floor: in `unit`.
        bound: the highest ratio of the two that is good; with `absolute`, the highest measure.
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
    def good(self) -> bool:
        return (self.measured if self.absolute else self.ratio) <= self.bound


@dataclass(frozen=True)
class Process:
    """What a process took: seconds on the clock and of the processor, its peak resident memory in MB; its stderr."""

    seconds: float
    processor: float
    memory: float
    said: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
    """Runs a program to its end; what it writes is thrown away, save what it says when it fails.

    Raises:
        RuntimeError: it ended with another code than 0.
    """
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, **(environment or {})}
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = code = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode()
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}: {text[-2000:]}")
    return Process(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def read(
    sandbox: Sandbox, *, streams: Mapping[str, Iterable[str]] | None = None, singer: bool = False, workers: int = 10
) -> Process:
    """One first sync of a sandbox.

    Args:
        streams: the streams to read, each with the columns to leave out; None: the default streams.
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
    """The command of a first sync and its environment, good as long as the context is."""
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
    """A configured catalog of these streams, each without the columns named."""
    found = {stream["name"]: stream for stream in _discovered()}
    configured = []
    for name, left_out in streams.items():
        stream = json.loads(json.dumps(found[name]))
        for column in left_out:
            del stream["json_schema"]["properties"][column]
        mode = stream["supported_sync_modes"][-1]
        configured.append({"stream": stream, "sync_mode": mode, "destination_sync_mode": "append"})
    return {"streams": configured}


@cache
def _discovered() -> list[dict[str, Any]]:
    made = subprocess.run(
        [*PROGRAM, "discover", "--config", "ENV"],
        env={**os.environ, "INCIDENT_API_KEY": "none"},
        stdout=subprocess.PIPE,
        check=True,
    )
    messages = [json.loads(line) for line in made.stdout.splitlines()]
    streams: list[dict[str, Any]] = next(m["catalog"]["streams"] for m in messages if m["type"] == "CATALOG")
    return streams


def median(measure: Callable[[], float], runs: int = RUNS) -> float:
    return statistics.median(measure() for _ in range(runs))


def table(results: Iterable[Result]) -> str:
    """The results as a Markdown table."""
    lines = ["| point | floor | measured | ratio | bound | |", "| --- | --: | --: | --: | --: | --- |"]
    for one in results:
        ratio = "" if one.absolute else f"{one.ratio:.2f}"
        bound = f"{one.bound:g} {one.unit}" if one.absolute else f"{one.bound:g}"
        floor = "" if one.absolute else f"{one.floor:,.2f}".removesuffix(".00")
        measured = f"{one.measured:,.2f}".removesuffix(".00")
        verdict = "yes" if one.good else "MISSED"
        lines.append(f"| {one.point} | {floor} | {measured} {one.unit} | {ratio} | {bound} | {verdict} |")
    return "\n".join(lines)


def main(measure: Callable[[], Iterable[Result]]) -> None:
    """What a benchmark's module does when it is run."""
    os.chdir(Path(__file__).parents[1])
    print(table(measure()))
