"""Runs of the program against sandboxes with faults, a few side by side."""

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

from integration_tests.conftest import KEY
from integration_tests.faults.cases import COMPANY, PAGES, STREAMS, STRUCK, Case
from integration_tests.support.account import Account, declarations
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, SINGER, Catalog, Destination, Record, Run, Tap
from sandbox import Sandbox

SIDE_BY_SIDE = 3
RETRY = re.compile(
    r"retry: GET (?P<where>\S+): (?P<what>.+); waiting (?P<wait>[\d.]+) s, try (?P<n>\d+) of (?P<m>\d+)"
    r"(?:, request_id (?P<request_id>\S+))?$"
)
OF_THIS_RUN = (
    (re.compile(r"GET \S+: "), ""),
    (re.compile(r" to read /\S+\."), " to read it."),
    (re.compile(r"\b01[0-9A-Z]{24}\b"), "01..."),
    (re.compile(r" \(request_id [^)]+\)"), " (request_id ...)"),
    (re.compile("|".join(STRUCK)), "records"),
)


@dataclass(frozen=True)
class Seen:
    """What came of a case.

    Attributes:
        stream: the list that it struck.
        run: with the fault.
        struck: how many answers it struck.
        asked: requests for the list, in that run.
        rest: the next run, without the fault and from the state of the first; None: the first one ended well.
        lacking: by what the destination differs from the account, after the runs.
        retry: the line that said it is tried again; None: there was none, or the fault stayed.
    """

    stream: str
    run: Run
    struck: int
    asked: int
    rest: Run | None
    lacking: list[str]
    retry: re.Match[str] | None = None


def clean(run: Run) -> None:
    """Sees that whole messages came out and nothing else, no traceback, and nothing of the key."""
    assert run.messages
    assert "Traceback" not in run.log
    for text in (run.stdout.decode(), run.stderr):
        assert KEY[:12] not in text


def retries_of(run: Run) -> list[re.Match[str]]:
    return [found for line in run.log.splitlines() if (found := RETRY.search(line))]


def failures_of(run: Run) -> dict[str, tuple[str, str]]:
    """By stream, the failure type and the message of its error; Airbyte only."""
    return {
        trace["error"]["stream_descriptor"]["name"]: (trace["error"]["failure_type"], trace["error"]["message"])
        for trace in run.traces("ERROR")
        if trace["error"].get("stream_descriptor")
    }


def told(text: str) -> str:
    """A message without what differs from run to run."""
    for pattern, instead in OF_THIS_RUN:
        text = pattern.sub(instead, text)
    return text


class Listener:
    """Listens on another loopback address, and counts who comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.2", 0))
        self.url = f"http://127.0.0.2:{self._socket.getsockname()[1]}"
        self.visits = 0

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
            self.visits += 1
            connection.close()


class Runs:
    """Runs cases, several in one sync, against sandboxes that nobody else uses meanwhile."""

    def __init__(self, catalog: Catalog, directory: Path, other: Listener) -> None:
        self._catalog = catalog
        self._directory = directory
        self._other = other
        self._own = threading.local()
        self._sandboxes: list[Sandbox] = []
        self._executor = ThreadPoolExecutor(SIDE_BY_SIDE)
        self._passing: dict[tuple[str, Case], tuple[Future[list[Seen]], int]] = {}
        self._staying: dict[Case, tuple[Future[list[Seen]], int]] = {}

    def start_passing(self, protocol: str, cases: Iterable[Case]) -> None:
        """Begins syncs in which each fault strikes a page of its own of the first list, once."""
        for batch in _batches(cases, PAGES):
            future = self._executor.submit(self._run_passing, protocol, batch)
            self._passing.update({(protocol, case): (future, place) for place, case in enumerate(batch)})

    def start_staying(self, cases: Iterable[Case]) -> None:
        """Begins syncs in which each fault strikes every later page of a list of its own."""
        for batch in _batches(cases, len(STRUCK)):
            future = self._executor.submit(self._run_staying, batch)
            self._staying.update({case: (future, place) for place, case in enumerate(batch)})

    def passing(self, protocol: str, case: Case) -> Seen:
        future, place = self._passing[protocol, case]
        return future.result()[place]

    def staying(self, case: Case) -> Seen:
        future, place = self._staying[case]
        return future.result()[place]

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)
        for sandbox in self._sandboxes:
            sandbox.stop()

    def _run_passing(self, protocol: str, batch: list[Case]) -> list[Seen]:
        sandbox, account = self._sandbox()
        stream = STRUCK[0]
        path = declarations()[stream].endpoint
        # The sandbox counts for each fault the requests that no fault before it struck: a page struck is asked for
        # again, so that the n-th fault meets its page as its n-th.
        faults = [
            case.injected(self._other.url, f"path={path},query=after=,nth={place}")
            for place, case in enumerate(batch, 1)
        ]
        sandbox.reset()
        sandbox.config(fault=faults)
        config = {"api_key": sandbox.key, "endpoint": sandbox.url, "request_timeout": batch[0].timeout}
        run = self._tap(protocol, config).read(self._catalog.of(protocol, STREAMS))
        struck = [found["struck"] for found in sandbox.faults()]
        retries = [found for found in retries_of(run) if found["where"].startswith(path)]
        lacking = self._lacking(account, run)
        asked = sandbox.requests(log=False)["counts"][f"GET {path}"]
        return [
            Seen(stream, run, struck[place], asked, None, lacking, retry)
            for place, retry in zip(range(len(batch)), [*retries, *[None] * len(batch)], strict=False)
        ]

    def _run_staying(self, batch: list[Case]) -> list[Seen]:
        sandbox, account = self._sandbox()
        struck = dict(zip(STRUCK, batch, strict=False))
        paths = {stream: declarations()[stream].endpoint for stream in struck}
        faults = [
            case.injected(self._other.url, f"path={paths[stream]},query=after=") for stream, case in struck.items()
        ]
        sandbox.reset()
        sandbox.config(fault=faults)
        config = {"api_key": sandbox.key, "endpoint": sandbox.url}
        limits = {"max_retries": 1, "request_timeout": batch[0].timeout}
        run = self._tap(AIRBYTE, {**config, **limits}).read(self._catalog.of(AIRBYTE, STREAMS))
        counts = [found["struck"] for found in sandbox.faults()]
        asked = sandbox.requests(log=False)["counts"]
        sandbox.config(fault=[])
        # The other protocol takes the same state.
        rest = self._tap(SINGER, config).read(self._catalog.of(SINGER, STREAMS), run.state) if run.code else None
        lacking = self._lacking(account, run, *([rest] if rest else []))
        return [
            Seen(stream, run, count, asked[f"GET {paths[stream]}"], rest, lacking)
            for stream, count in zip(struck, counts, strict=True)
        ]

    def _lacking(self, account: dict[str, list[Record]], *runs: Run) -> list[str]:
        destination = Destination(self._catalog.keys)
        for run in runs:
            destination.load(run)
        return list(differences(destination, account))

    def _tap(self, protocol: str, config: dict[str, Any]) -> Tap:
        folder = self._directory / threading.current_thread().name / protocol
        return Tap(protocol, config, folder)

    def _sandbox(self) -> tuple[Sandbox, dict[str, list[Record]]]:
        if not hasattr(self._own, "sandbox"):
            sandbox = self._own.sandbox = Sandbox(process=True, key=KEY, **COMPANY)
            sandbox.start()
            self._sandboxes.append(sandbox)
            self._own.account = Account(sandbox).of(STREAMS)
        found: tuple[Sandbox, dict[str, Any]] = (self._own.sandbox, self._own.account)
        return found


def _batches(cases: Iterable[Case], size: int) -> Iterator[list[Case]]:
    """The cases in batches of one request timeout."""
    for _, group in groupby(sorted(cases, key=lambda case: case.timeout), key=lambda case: case.timeout):
        same = list(group)
        yield from (same[start : start + size] for start in range(0, len(same), size))
