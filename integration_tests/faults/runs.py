"""Runs of the program against sandboxes with faults, a few in parallel."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

from integration_tests.support.account import Account, declarations
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.faults import Case
from integration_tests.support.sandboxes import KEY
from integration_tests.support.tap import AIRBYTE, SINGER, Record, Run, Tap
from sandbox import Sandbox

PARALLEL_RUNS = 3
COMPANY: dict[str, Any] = {
    "incidents": 40,
    "alerts": 850,
    "escalations": 160,
    "actions": 600,
    "follow_ups": 600,
    "updates": 600,
    "users": 20,
    "plain": True,
}
# Streams of several pages. Each can have a persistent fault of its own.
FAULTY_STREAMS = ("alerts", "escalations", "actions", "follow_ups", "incident_updates")
HEALTHY_STREAMS = ("severities", "users", "incident_types")
STREAMS = (*FAULTY_STREAMS, *HEALTHY_STREAMS)
# Number of pages of alerts that can each have a single fault. A longer list would be divided, and its pages would not
# be requested in order.
PAGES = 15
RETRY = re.compile(
    r"retry: GET (?P<path>\S+): (?P<reason>.+); waiting (?P<seconds>[\d.]+) s, "
    r"try (?P<attempt>\d+) of (?P<attempts>\d+)(?:, request_id (?P<request_id>\S+))?$"
)
VARIABLE_PARTS = (
    (re.compile(r"GET \S+: "), ""),
    (re.compile(r" to read /\S+\."), " to read it."),
    (re.compile(r"\b01[0-9A-Z]{24}\b"), "01..."),
    (re.compile(r" \(request_id [^)]+\)"), " (request_id ...)"),
    (re.compile("|".join(FAULTY_STREAMS)), "records"),
)


@dataclass(frozen=True)
class Result:
    """What happened in the runs of a case.

    Attributes:
        stream: the stream with the fault.
        run: the run with the fault.
        faults: number of answers with the fault.
        requests: number of requests for the stream in that run.
        next_run: the run without the fault, from the first run's state; None if the first run succeeded.
        differences: differences between the destination and the account after the runs.
        retry: the log line about the retry of a single fault; None if there was none.
    """

    stream: str
    run: Run
    faults: int
    requests: int
    next_run: Run | None
    differences: list[str]
    retry: re.Match[str] | None = None


def assert_clean_output(run: Run) -> None:
    """Check that stdout has only complete messages, and that no traceback and no part of the key was printed."""
    assert run.messages
    assert "Traceback" not in run.log
    for text in (run.stdout.decode(), run.stderr):
        assert KEY[:12] not in text


def retries_of(run: Run) -> list[re.Match[str]]:
    """Return the log lines about retries."""
    return [match for line in run.log.splitlines() if (match := RETRY.search(line))]


def failures_of(run: Run) -> dict[str, tuple[str, str]]:
    """Return the failure type and the error message of each failed stream. Airbyte only."""
    return {
        trace["error"]["stream_descriptor"]["name"]: (trace["error"]["failure_type"], trace["error"]["message"])
        for trace in run.traces("ERROR")
        if trace["error"].get("stream_descriptor")
    }


def normalize(message: str) -> str:
    """Return a message without the parts that differ from run to run."""
    for pattern, replacement in VARIABLE_PARTS:
        message = pattern.sub(replacement, message)
    return message


class Listener:
    """Listens at another loopback address and counts connections."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.2", 0))
        self.url = f"http://127.0.0.2:{self._socket.getsockname()[1]}"
        self.connections = 0

    def __enter__(self) -> Listener:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()


class Runs:
    """Runs cases, several per sync. Each thread has its own sandbox."""

    def __init__(self, catalog: Catalog, directory: Path, other_host: Listener) -> None:
        self._catalog = catalog
        self._directory = directory
        self._other_host = other_host
        self._of_thread = threading.local()
        self._sandboxes: list[Sandbox] = []
        self._executor = ThreadPoolExecutor(PARALLEL_RUNS)
        self._single: dict[tuple[str, Case], tuple[Future[list[Result]], int]] = {}
        self._persistent: dict[Case, tuple[Future[list[Result]], int]] = {}

    def start_single(self, protocol: str, cases: Iterable[Case]) -> None:
        """Start syncs in which each fault hits one page of the first faulty stream, once."""
        for batch in _batches(cases, PAGES):
            future = self._executor.submit(self._run_single, protocol, batch)
            self._single.update({(protocol, case): (future, index) for index, case in enumerate(batch)})

    def start_persistent(self, cases: Iterable[Case]) -> None:
        """Start syncs in which each fault hits every page after the first of one stream."""
        for batch in _batches(cases, len(FAULTY_STREAMS)):
            future = self._executor.submit(self._run_persistent, batch)
            self._persistent.update({case: (future, index) for index, case in enumerate(batch)})

    def single(self, protocol: str, case: Case) -> Result:
        """Return the result of a fault that hits one page once."""
        future, index = self._single[protocol, case]
        return future.result()[index]

    def persistent(self, case: Case) -> Result:
        """Return the result of a fault that hits every page after the first."""
        future, index = self._persistent[case]
        return future.result()[index]

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)
        for sandbox in self._sandboxes:
            sandbox.stop()

    def _run_single(self, protocol: str, batch: list[Case]) -> list[Result]:
        sandbox, account = self._sandbox()
        stream = FAULTY_STREAMS[0]
        path = declarations()[stream].endpoint
        # For each fault, the sandbox counts the requests that no earlier fault hit. Each hit page is requested again,
        # so the n-th fault hits the n-th page.
        faults = [
            case.with_selector(self._other_host.url, f"path={path},query=after=,nth={number}")
            for number, case in enumerate(batch, 1)
        ]
        sandbox.reset()
        sandbox.config(fault=faults)
        config = {"api_key": sandbox.key, "endpoint": sandbox.url, "request_timeout": batch[0].timeout}
        run = self._tap(protocol, config).read(self._catalog.of(protocol, STREAMS))
        counts = [fault["struck"] for fault in sandbox.faults()]
        retries = [retry for retry in retries_of(run) if retry["path"].startswith(path)]
        different = self._differences(account, run)
        requests = sandbox.requests(log=False)["counts"][f"GET {path}"]
        return [
            Result(stream, run, count, requests, None, different, retry)
            for count, retry in zip(counts, [*retries, *[None] * len(batch)], strict=False)
        ]

    def _run_persistent(self, batch: list[Case]) -> list[Result]:
        sandbox, account = self._sandbox()
        cases = dict(zip(FAULTY_STREAMS, batch, strict=False))
        paths = {stream: declarations()[stream].endpoint for stream in cases}
        faults = [
            case.with_selector(self._other_host.url, f"path={paths[stream]},query=after=")
            for stream, case in cases.items()
        ]
        sandbox.reset()
        sandbox.config(fault=faults)
        config = {"api_key": sandbox.key, "endpoint": sandbox.url}
        limits = {"max_retries": 1, "request_timeout": batch[0].timeout}
        run = self._tap(AIRBYTE, {**config, **limits}).read(self._catalog.of(AIRBYTE, STREAMS))
        counts = [fault["struck"] for fault in sandbox.faults()]
        requests = sandbox.requests(log=False)["counts"]
        sandbox.config(fault=[])
        # The next run is in the other protocol and takes the same state.
        next_run = self._tap(SINGER, config).read(self._catalog.of(SINGER, STREAMS), run.state) if run.code else None
        different = self._differences(account, run, *([next_run] if next_run else []))
        return [
            Result(stream, run, count, requests[f"GET {paths[stream]}"], next_run, different)
            for stream, count in zip(cases, counts, strict=True)
        ]

    def _differences(self, account: dict[str, list[Record]], *runs: Run) -> list[str]:
        destination = Destination(self._catalog.keys)
        for run in runs:
            destination.load(run)
        return list(differences(destination, account))

    def _tap(self, protocol: str, config: dict[str, Any]) -> Tap:
        folder = self._directory / threading.current_thread().name / protocol
        return Tap(protocol, config, folder)

    def _sandbox(self) -> tuple[Sandbox, dict[str, list[Record]]]:
        if not hasattr(self._of_thread, "sandbox"):
            sandbox = self._of_thread.sandbox = Sandbox(process=True, key=KEY, **COMPANY)
            sandbox.start()
            self._sandboxes.append(sandbox)
            self._of_thread.account = Account(sandbox).of(STREAMS)
        pair: tuple[Sandbox, dict[str, Any]] = (self._of_thread.sandbox, self._of_thread.account)
        return pair


def _batches(cases: Iterable[Case], size: int) -> Iterator[list[Case]]:
    """Split the cases into batches with the same request timeout."""
    for _, group in groupby(sorted(cases, key=lambda case: case.timeout), key=lambda case: case.timeout):
        same = list(group)
        yield from (same[start : start + size] for start in range(0, len(same), size))
