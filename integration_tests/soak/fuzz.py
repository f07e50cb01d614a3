"""Fuzzes what the program reads: configs, catalogs, states and answers. The whole program runs in this process.

`python -m integration_tests.soak.fuzz --seconds 180 --seed 0`

Each input is random JSON, a valid document with some places changed, or random bytes. A run has to end within
`MAX_SECONDS` of processor time with an exit code of its own, without a traceback, without the key, and within the
memory bound.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from integration_tests.support.tap import AIRBYTE, PROTOCOLS, clean_environment
from source_incident import run
from unit_tests.api.server import ScriptedServer, answer

KEY = "inc_5ecret_key_0123456789abcdef"
MAX_SECONDS = 5
# What a run may add to the memory of this process. docs/reliability.md promises 400 MB, and 75 MB of them are the
# program before it reads anything.
MAX_MB = 325
CODES = {"config": {0, 1, 2}, "catalog": {0, 2}, "state": {0, 2}, "answer": {0, 1}}
TYPES = {"RECORD", "STATE", "SCHEMA", "ACTIVATE_VERSION", "LOG", "TRACE", "CONNECTION_STATUS", "CATALOG"}
EXAMPLES_PER_ROUND = 50
INCIDENT = {
    "id": "01I",
    "mode": "standard",
    "updated_at": "2026-01-01T00:00:00Z",
    "incident_status": {"category": "live"},
    "custom_field_entries": [{"custom_field": {"id": "01F"}, "values": []}],
}
PAGES: dict[str, Any] = {
    "/v2/incidents": {
        "incidents": [INCIDENT, {**INCIDENT, "id": "01J"}],
        "pagination_meta": {"after": None, "page_size": 250, "total_record_count": 2},
    },
    "/v1/custom_fields": {"custom_fields": [{"id": "01F", "field_type": "single_select"}]},
    "/v1/custom_field_options": {"custom_field_options": [{"id": "01O"}], "pagination_meta": {}},
    "/v1/severities": {"severities": [{"id": "01S", "rank": 1, "signing_secret": "x"}]},
    "/v1/identity": {"identity": {"name": "key", "roles": ["viewer"]}},
}
STREAMS = {"incidents": True, "custom_field_options": False, "severities": False}
POSITION = {
    "updated_at": "2025-01-01T00:00:00Z",
    "resume": {"after": "01A", "since": "2025-01-01", "began": "2025-01-02T00:00:00Z"},
}
STATE = {
    "modes": {"standard,retrospective": POSITION},
    "nested_pages": {"updates": 3},
    "full_read": {"version": 1, "began": "2025-01-01T00:00:00Z", "done": ["standard"]},
    "retry": {"since": "2025-01-01T00:00:00Z", "ids": ["01I"]},
    "forbidden_columns": ["actions"],
}
CONFIG = {
    "start_date": "2024-01-01",
    "incident_modes": ["standard", "test"],
    "lookback_window": 5,
    "num_workers": 2,
    "request_timeout": 3,
    "max_retries": 0,
    "full_read_days": 7,
    "activate_versions": True,
}

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", ".", "..", KEY, KEY.upper(), "\x1b[2J", "\u202e\n", "2026-01-01T00:00:00Z", "0001-01-01"]),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), texts
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


class TooSlowError(Exception):
    """A run took longer than MAX_SECONDS."""


@dataclass(frozen=True)
class Found:
    """What an input did.

    Attributes:
        code: the exit code.
        out: stdout.
        err: stderr.
        seconds: the processor time of the run. Other programs do not change it.
        megabytes: the memory that the run added, at its peak.
    """

    code: int
    out: str
    err: str
    seconds: float
    megabytes: int


class Content(bytes):
    """Bytes with a short text for Hypothesis, which keeps it."""

    def __repr__(self) -> str:
        return f"{bytes(self[:1000])!r} ({len(self)} bytes)"


def catalog(protocol: str) -> dict[str, Any]:
    """A valid catalog of the fuzzed streams."""
    if protocol == AIRBYTE:
        return {
            "streams": [
                {
                    "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                    "sync_mode": "incremental" if is_incremental else "full_refresh",
                    "destination_sync_mode": "append",
                }
                for name, is_incremental in STREAMS.items()
            ]
        }
    return {
        "streams": [
            {
                "tap_stream_id": name,
                "stream": name,
                "schema": {
                    "type": "object",
                    "properties": {key: {"type": "string"} for key in ("id", "custom_field_id")},
                },
                "metadata": [
                    {"breadcrumb": [], "metadata": {"selected": True}},
                    {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
                ],
            }
            for name in STREAMS
        ]
    }


def state(protocol: str) -> Any:
    """A valid state of the fuzzed streams."""
    if protocol == AIRBYTE:
        descriptor = {"name": "incidents"}
        return [{"type": "STREAM", "stream": {"stream_descriptor": descriptor, "stream_state": STATE}}]
    return {"bookmarks": {"incidents": STATE, "severities": {}}, "currently_syncing": "incidents"}


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A document with one to three places changed."""
    for _ in range(draw(st.integers(1, 3))):
        document = _change(draw, document, draw(st.integers(0, 7)))
    return document


def _change(draw: st.DrawFn, value: Any, depth: int) -> Any:
    """Return the value with one place of it replaced, removed or doubled."""
    if depth and isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        how = draw(st.sampled_from(["inner", "inner", "removed", "renamed", "other"]))
        rest = {name: inner for name, inner in value.items() if name != key}
        if how == "removed":
            return rest
        if how == "renamed":
            return {**rest, draw(texts): value[key]}
        return {**rest, key: _change(draw, value[key], depth - 1) if how == "inner" else draw(json_values)}
    if depth and isinstance(value, list) and value:
        index = draw(st.integers(0, len(value) - 1))
        how = draw(st.sampled_from(["inner", "removed", "doubled"]))
        new = {"inner": [_change(draw, value[index], depth - 1)], "removed": [], "doubled": [value[index]] * 2}[how]
        return [*value[:index], *new, *value[index + 1 :]]
    return draw(json_values)


@st.composite
def content_of(draw: st.DrawFn, document: Any) -> Content:
    """The bytes of a file or of an answer."""
    kind = draw(st.sampled_from(["changed", "changed", "changed", "json", "bytes", "cut", "deep", "long"]))
    if kind == "bytes":
        return Content(draw(st.binary(max_size=60)))
    if kind == "deep":
        levels = draw(st.sampled_from([199, 201, 254, 255, 1000, 100_000]))
        return Content(b'{"streams":' + b"[" * levels + b"]" * levels + b"}")
    if kind == "long":
        return Content(json.dumps({draw(texts): draw(texts) * 200_000}).encode())
    value = draw(json_values if kind == "json" else changed(document))
    content = json.dumps(value).encode()
    return Content(content[: draw(st.integers(0, len(content)))] if kind == "cut" else content)


class Fuzzer:
    """Runs the program with one fuzzed input after the other.

    Attributes:
        counts: number of runs, by what was fuzzed, the protocol and the exit code.
        slowest: the most processor time of a run, in seconds.
        largest: the most memory that a run added, in MB.
    """

    def __init__(self, directory: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        self.largest = 0
        self._directory = directory
        run.import_app()

    def fuzz(self, number: int, examples: int) -> None:
        """Run some examples of one seed.

        Raises:
            AssertionError: an input did harm. The note of the error has the input.
        """

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.sampled_from(sorted(CODES)), st.sampled_from(PROTOCOLS), st.data())
        def test(what: str, protocol: str, data: st.DataObject) -> None:
            self._run(what, protocol, data)

        test()

    def _run(self, what: str, protocol: str, data: st.DataObject) -> None:
        documents = {"config": CONFIG, "catalog": catalog(protocol), "state": state(protocol)}
        pages = {path: json.dumps(body).encode() for path, body in PAGES.items()}
        status, path = 200, ""
        if what == "answer":
            path = data.draw(st.sampled_from(sorted(PAGES)))
            pages[path] = content = data.draw(content_of(PAGES[path]))
            status = data.draw(st.sampled_from([200, 200, 200, 200, 400, 403, 404, 500]))
        else:
            content = data.draw(content_of(documents[what]))

        def serve(target: str) -> bytes:
            requested = target.partition("?")[0]
            empty = json.dumps({requested.rpartition("/")[2]: []}).encode()
            is_fuzzed = what == "answer" and requested == path
            return answer(content=pages.get(requested, empty), status=status if is_fuzzed else 200)

        with ScriptedServer(default=serve) as server:
            arguments = [] if protocol != AIRBYTE else ["read"]
            for name, document in documents.items():
                file = self._directory / f"{name}.json"
                if name == "config" and what != "config":
                    document = {**CONFIG, "api_key": KEY, "endpoint": server.url}
                file.write_bytes(content if name == what else json.dumps(document).encode())
                arguments += [f"--{name}", str(file)]
            # A fuzzed config has no endpoint of its own, so that no run leaves this machine.
            variables = {"INCIDENT_API_KEY": KEY, "INCIDENT_ENDPOINT": server.url}
            with _without_an_endpoint(self._directory / "config.json", what):
                found = run_in_process([*arguments, "--no-progress"], variables)
        self.counts[f"{what} ({protocol}), exit code {found.code}"] += 1
        self.slowest = max(self.slowest, found.seconds)
        self.largest = max(self.largest, found.megabytes)
        try:
            check(found, what)
        except AssertionError as error:
            error.add_note(f"{what} ({protocol}): {content!r}\nstdout: {found.out[-2000:]}")
            error.add_note(f"stderr: {found.err[-2000:]}")
            raise


def check(found: Found, what: str) -> None:
    """Check that a run did no harm."""
    assert found.code in CODES[what], f"exit code {found.code}"
    assert found.seconds < MAX_SECONDS, f"{found.seconds:.1f} s"
    for text in (found.out, found.err):
        assert KEY.lower() not in text.lower(), "the key is in the output"
        assert "Traceback" not in text, "a traceback"
        assert "the connector failed" not in text, "an unexpected exception"
    for line in found.out.splitlines():
        assert json.loads(line)["type"] in TYPES, "a line of another type"
    if found.code == 2:
        errors = [line for line in found.err.splitlines() if line.startswith("tap-incident: ")]
        assert len(errors) == 1, "not one line of error"
    for line in found.err.splitlines():
        assert line.isprintable(), "a control character"
    assert found.megabytes < MAX_MB, f"{found.megabytes} MB"


def memory(what: str) -> int:
    """A size of this process's memory in kB: VmRSS is the current one, VmHWM the largest one."""
    found = re.search(rf"^{what}:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def run_in_process(arguments: list[str], variables: dict[str, str]) -> Found:
    """Run the program in this process, with stdout and stderr in files."""
    root, airbyte = logging.getLogger(), logging.getLogger("airbyte")
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    loggers = root.handlers, root.level, airbyte.handlers, airbyte.level, airbyte.propagate
    environment = dict(os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again
        before = memory("VmRSS")
        started_at = time.process_time()
        try:
            os.environ.clear()
            os.environ.update({**clean_environment_of(environment), **variables})
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            with _time_limit():
                code = run.main(arguments)
        except SystemExit as error:
            code = int(error.code or 0)
        finally:
            for number, descriptor in enumerate(saved, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.environ.clear()
            os.environ.update(environment)
            root.handlers, airbyte.handlers, airbyte.propagate = loggers[0], loggers[2], loggers[4]
            root.setLevel(loggers[1])
            airbyte.setLevel(loggers[3])
            for number, handler in handlers.items():
                signal.signal(number, handler)
        seconds = time.process_time() - started_at
        megabytes = (memory("VmHWM") - before) // 1024
        out.seek(0)
        err.seek(0)
        return Found(code, out.read().decode(), err.read().decode(), seconds, megabytes)


def clean_environment_of(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment without variables that configure the program."""
    return {name: value for name, value in environment.items() if name in clean_environment()}


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Raise TooSlowError in a run that hangs."""

    def too_slow(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"a run took longer than {3 * MAX_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(3 * MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def _without_an_endpoint(file: Path, what: str) -> Iterator[None]:
    """Remove a fuzzed endpoint, and a number of retries that would take minutes."""
    if what == "config":
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(file.read_bytes())
            if isinstance(document, dict) and {"endpoint", "api_key", "max_retries"} & document.keys():
                file.write_text(json.dumps({**document, "endpoint": None, "api_key": None, "max_retries": 0}))
    yield


def fuzz(directory: Path, *, seconds: float, first: int) -> Fuzzer:
    """Fuzz for some seconds, one seed after the other."""
    fuzzer = Fuzzer(directory)
    ends_at = time.monotonic() + seconds
    number = first
    while time.monotonic() < ends_at:
        try:
            fuzzer.fuzz(number, EXAMPLES_PER_ROUND)
        except BaseException as error:
            error.add_note(f"seed {number}")
            raise
        number += 1
    return fuzzer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.soak.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="how long (180)")
    parser.add_argument("--seed", type=int, default=Random().randrange(10**9), help="the first seed (random)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        fuzzer = fuzz(Path(directory), seconds=arguments.seconds, first=arguments.seed)
    for what, count in sorted(fuzzer.counts.items()):
        print(f"{count:6} {what}")
    print(f"{fuzzer.counts.total()} runs, the slowest {fuzzer.slowest:.1f} s, {fuzzer.largest} MB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
