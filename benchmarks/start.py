"""How long the program takes to begin, against importing the CDK."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.common import PROGRAM, Result, main, run

RUNS = 5


def measure() -> Iterator[Result]:
    """The floor and what is held against it are measured in turns, so that the machine's other work hits all alike."""
    key = {"INCIDENT_API_KEY": "none"}
    turns: dict[str, Callable[[], float]] = {
        "import airbyte_cdk": lambda: run([sys.executable, "-c", "import airbyte_cdk"]).seconds,
        "--version": lambda: run([*PROGRAM, "--version"]).seconds,
        "--help": lambda: run([*PROGRAM, "--help"]).seconds,
        "spec": lambda: run([*PROGRAM, "spec"]).seconds,
        "discover": lambda: run([*PROGRAM, "discover", "--config", "ENV"], key).seconds,
        "a read's first request": _first_request,
    }
    rounds = [{what: turn() for what, turn in turns.items()} for _ in range(RUNS)]
    medians = {what: statistics.median(one[what] for one in rounds) for what in turns}
    floor = medians.pop("import airbyte_cdk")
    for what, seconds in medians.items():
        bound = 1.15 if what in ("discover", "a read's first request") else 0.25
        yield Result(f"start, {what}", seconds, floor, bound, "s")


def _first_request() -> float:
    """Seconds from the start of the program to its first request, which is never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        environment = {**os.environ, "INCIDENT_API_KEY": "none", "INCIDENT_ENDPOINT": url}
        began = time.perf_counter()
        process = subprocess.Popen(
            [*PROGRAM, "read", "--config", "ENV"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(60)
                if not connection.recv(1):
                    raise RuntimeError("the program made no request")
                return time.perf_counter() - began
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main(measure)
