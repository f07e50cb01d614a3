"""The start-up time of the program, compared with importing the CDK."""

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
    """Measure all commands alternately, so that other load on the machine affects all of them."""
    key = {"INCIDENT_API_KEY": "none"}
    measurements: dict[str, Callable[[], float]] = {
        "import airbyte_cdk": lambda: run([sys.executable, "-c", "import airbyte_cdk"]).seconds,
        "--version": lambda: run([*PROGRAM, "--version"]).seconds,
        "--help": lambda: run([*PROGRAM, "--help"]).seconds,
        "spec": lambda: run([*PROGRAM, "spec"]).seconds,
        "discover": lambda: run([*PROGRAM, "discover", "--config", "ENV"], key).seconds,
        "a read's first request": _first_request,
    }
    rounds = [{name: measure_one() for name, measure_one in measurements.items()} for _ in range(RUNS)]
    medians = {name: statistics.median(seconds[name] for seconds in rounds) for name in measurements}
    floor = medians.pop("import airbyte_cdk")
    for name, seconds in medians.items():
        bound = 0.45 if name in ("discover", "a read's first request") else 0.25
        yield Result(f"start, {name}", seconds, floor, bound, "s")


def _first_request() -> float:
    """Seconds from the start of the program to its first request, which gets no response."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        environment = {**os.environ, "INCIDENT_API_KEY": "none", "INCIDENT_ENDPOINT": url}
        started_at = time.perf_counter()
        process = subprocess.Popen(
            [*PROGRAM, "read", "--config", "ENV"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(60)
                if not connection.recv(1):
                    raise RuntimeError("the program sent no request")
                return time.perf_counter() - started_at
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main(measure)
