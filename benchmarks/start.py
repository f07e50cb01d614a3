"""How long the program takes to begin, against importing the CDK."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.common import PROGRAM, Result, main, median, run

RUNS = 5


def measure() -> Iterator[Result]:
    floor = median(lambda: run([sys.executable, "-c", "import airbyte_cdk"]).seconds, RUNS)
    for arguments in (["--version"], ["--help"], ["spec"]):
        yield Result(f"start, {arguments[0]}", _seconds(arguments), floor, 0.25, "s")
    yield Result("start, discover", _seconds(["discover", "--config", "ENV"]), floor, 1.15, "s")
    yield Result("start, a read's first request", median(_first_request, RUNS), floor, 1.15, "s")


def _seconds(arguments: Sequence[str]) -> float:
    return median(lambda: run([*PROGRAM, *arguments], {"INCIDENT_API_KEY": "none"}).seconds, RUNS)


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
