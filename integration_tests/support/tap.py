"""The program as a process of its own, in either protocol, and what a destination makes of its output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared" / "reference" / "singer-tap"
PROGRAM = (sys.executable, "-m", "source_incident")
AIRBYTE, SINGER = "airbyte", "singer"
PROTOCOLS = (AIRBYTE, SINGER)
SECONDS = 120

Record = dict[str, Any]
Key = tuple[str, ...]


# Where the tests run in the background, these are ignored, and would be in the program.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@dataclass(frozen=True)
class Run:
    """What one run of the program left.

    Attributes:
        protocol: airbyte or singer.
        code: the exit code; negative: the signal that ended it.
        stdout: all that was taken of its stdout.
        stderr: its stderr.
    """

    protocol: str
    code: int
    stdout: bytes
    stderr: str

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the complete lines. A last line without its end is no message."""
        return [orjson.loads(line) for line in self.stdout.split(b"\n")[:-1]]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    @cached_property
    def records(self) -> dict[str, list[Record]]:
        """The records as they came, by stream."""
        found: dict[str, list[Record]] = defaultdict(list)
        for stream, record in records_of(self.messages):
            found[stream].append(record)
        return found

    @property
    def counts(self) -> dict[str, int]:
        return {stream: len(records) for stream, records in self.records.items()}

    @property
    def state(self) -> Any:
        """What a platform keeps of the states and hands to the next run; None: there was none."""
        if self.protocol == SINGER:
            states = self.of_type("STATE")
            return states[-1]["value"] if states else None
        last = {
            message["state"]["stream"]["stream_descriptor"]["name"]: message["state"]
            for message in self.of_type("STATE")
        }
        return list(last.values()) or None

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """By stream, its last state in the Airbyte protocol's terms."""
        return stream_states(self.state)

    @property
    def log(self) -> str:
        """What it said to whoever watches, in either protocol."""
        if self.protocol == SINGER:
            return self.stderr
        said = [message["log"]["message"] for message in self.of_type("LOG")]
        said += [trace["error"]["message"] for trace in self.traces("ERROR")]
        return "\n".join([*said, self.stderr])

    def traces(self, kind: str) -> list[dict[str, Any]]:
        return [message["trace"] for message in self.of_type("TRACE") if message["trace"]["type"] == kind]

    def statuses(self, stream: str) -> list[str]:
        """The statuses of a stream, in order; Airbyte only."""
        return [
            trace["stream_status"]["status"]
            for trace in self.traces("STREAM_STATUS")
            if trace["stream_status"]["stream_descriptor"]["name"] == stream
        ]

    def ok(self) -> Run:
        """The run itself, when it ended well."""
        assert self.code == 0, f"exit {self.code}: {self.log[-3000:]}"
        return self


def records_of(messages: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Record]]:
    for message in messages:
        if message["type"] == "RECORD":
            inner = message["record"]
            if "stream" in message:
                yield message["stream"], inner
            else:
                yield inner["stream"], inner["data"]


def stream_states(state: Any) -> dict[str, dict[str, Any]]:
    """The states of a state document by stream, in the Airbyte protocol's terms."""
    if not state:
        return {}
    if isinstance(state, list):
        return {item["stream"]["stream_descriptor"]["name"]: item["stream"].get("stream_state") or {} for item in state}
    found = {}
    for name, bookmark in state["bookmarks"].items():
        rest = dict(bookmark)
        if "replication_key_value" in rest:
            rest[rest.pop("replication_key")] = rest.pop("replication_key_value")
        found[name] = rest
    return found


@dataclass
class Tap:
    """Starts the program.

    Attributes:
        protocol: airbyte or singer.
        config: the settings.
        directory: where the files that it is given are written.
    """

    protocol: str
    config: Mapping[str, Any]
    directory: Path

    def read(self, catalog: Any = None, state: Any = None, **config: Any) -> Run:
        """A sync to its end."""
        return self.run(*self.read_arguments(catalog, state, **config))

    def read_arguments(self, catalog: Any = None, state: Any = None, **config: Any) -> list[str]:
        arguments = ["read"] if self.protocol == AIRBYTE else []
        arguments += ["--config", self.file("config", {**self.config, **config})]
        if catalog is not None:
            arguments += ["--catalog", self.file("catalog", catalog)]
        if state is not None:
            arguments += ["--state", self.file("state", state)]
        return arguments

    def command(self, name: str, **config: Any) -> Run:
        """check or discover."""
        flags = {"check": "--test", "discover": "--discover"}
        command = name if self.protocol == AIRBYTE else flags[name]
        return self.run(command, "--config", self.file("config", {**self.config, **config}))

    def discover(self) -> dict[str, Any]:
        """The catalog that discovery prints, in this protocol's form."""
        run = self.command("discover").ok()
        if self.protocol == SINGER:
            found: dict[str, Any] = orjson.loads(run.stdout)
            return found
        (message,) = run.of_type("CATALOG")
        return dict(message["catalog"])

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Run:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=ROOT,
            env={**clean_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
        return Run(self.protocol, done.returncode, done.stdout, done.stderr.decode())

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The process, with its stdout and stderr as pipes."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ended(self, process: subprocess.Popen[bytes], taken: bytes = b"") -> Run:
        """The run of a process that is about to end; `taken` was read of its stdout already."""
        assert process.stdout is not None
        assert process.stderr is not None
        with process:
            rest, errors = process.stdout.read(), process.stderr.read()
            return Run(self.protocol, process.wait(SECONDS), taken + rest, errors.decode())

    def read_until(self, lines: int, *arguments: str, drain: bool) -> Run:
        """Starts a read and kills it (SIGKILL) once it has written so many lines; a shorter one ends by itself.

        Args:
            lines: how many.
            arguments: of the read.
            drain: take what was in the pipe already, the beginning of a line included; else the lines alone.
        """
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                [*PROGRAM, *arguments],
                cwd=ROOT,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as process,
        ):
            assert process.stdout is not None
            taken = []
            for line in process.stdout:
                taken.append(line)
                if len(taken) >= lines:
                    process.kill()
                    break
            rest = process.stdout.read() if drain else b""
            code = process.wait(SECONDS)
            errors.seek(0)
            return Run(self.protocol, code, b"".join(taken) + rest, errors.read().decode())

    def file(self, name: str, document: Any) -> str:
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{name}.json"
        path.write_text(json.dumps(document))
        return str(path)


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of the tap, which would be taken for given ones."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("INCIDENT_", "TAP_INCIDENT_"))
    } | {"PYTHONUNBUFFERED": "1"}


class Catalog:
    """What discovery found, and catalogs made of it for either protocol."""

    def __init__(self, airbyte: Mapping[str, Any], singer: Mapping[str, Any]) -> None:
        self.airbyte = {stream["name"]: stream for stream in airbyte["streams"]}
        self.singer = {entry["tap_stream_id"]: entry for entry in singer["streams"]}
        self.keys: dict[str, list[str]] = {
            name: [path[0] for path in stream["source_defined_primary_key"]] for name, stream in self.airbyte.items()
        }
        self.incremental = {
            name for name, stream in self.airbyte.items() if "incremental" in stream["supported_sync_modes"]
        }

    @property
    def by_default(self) -> list[str]:
        return [
            name
            for name, entry in self.singer.items()
            if entry["metadata"][0]["metadata"]["selected-by-default"] is True
        ]

    def of(
        self,
        protocol: str,
        streams: Iterable[str],
        *,
        full: Iterable[str] = (),
        without: Mapping[str, Sequence[str]] | None = None,
        incremental: Iterable[str] = (),
    ) -> dict[str, Any]:
        """A catalog that selects some streams.

        Args:
            protocol: the form.
            streams: their names.
            full: those to be read in full, although they could be incremental.
            without: by stream, the columns that are not selected.
            incremental: those to be read incrementally, whether or not they can.
        """
        make = self._airbyte if protocol == AIRBYTE else self._singer
        return make(list(streams), set(full), without or {}, set(incremental))

    def _airbyte(
        self, names: list[str], full: set[str], without: Mapping[str, Sequence[str]], incremental: set[str]
    ) -> dict[str, Any]:
        configured = []
        for name in names:
            stream = json.loads(json.dumps(self.airbyte[name]))
            for column in without.get(name, ()):
                del stream["json_schema"]["properties"][column]
            by_cursor = name in incremental or (name in self.incremental and name not in full)
            configured.append(
                {
                    "stream": stream,
                    "sync_mode": "incremental" if by_cursor else "full_refresh",
                    "destination_sync_mode": "append_dedup",
                }
            )
        return {"streams": configured}

    def _singer(
        self, names: list[str], full: set[str], without: Mapping[str, Sequence[str]], incremental: set[str]
    ) -> dict[str, Any]:
        entries = json.loads(json.dumps(list(self.singer.values())))
        for entry in entries:
            name = entry["tap_stream_id"]
            of_stream = entry["metadata"][0]["metadata"]
            of_stream["selected"] = name in names
            if name in full:
                of_stream["replication-method"] = "FULL_TABLE"
            elif name in incremental:
                of_stream["replication-method"] = "INCREMENTAL"
            for item in entry["metadata"][1:]:
                if item["breadcrumb"][1] in without.get(name, ()):
                    item["metadata"]["selected"] = False
        return {"streams": entries}


@dataclass
class Destination:
    """A destination that upserts: the last write a key wins."""

    keys: Mapping[str, Sequence[str]]
    rows: dict[str, dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    written: Counter[str] = field(default_factory=Counter)

    def load(self, run: Run) -> None:
        for stream, record in records_of(run.messages):
            self.rows[stream][key_of(record, self.keys[stream])] = record
            self.written[stream] += 1

    def doubled(self, streams: Iterable[str] | None = None) -> int:
        """How many records came again."""
        return sum(self.written[name] - len(self.rows[name]) for name in (streams or list(self.written)))


def key_of(record: Mapping[str, Any], keys: Sequence[str]) -> Key:
    return tuple(str(record[key]) for key in keys)


def by_key(records: Iterable[Record], keys: Sequence[str]) -> dict[Key, Record]:
    return {key_of(record, keys): record for record in records}


def without_nulls(value: Any) -> Any:
    """The value with null and absent the same, at any depth."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def fixed(lines: bytes, drop: Callable[[dict[str, Any]], bool] = lambda _: False) -> list[dict[str, Any]]:
    """The messages of an output without what tells the time."""
    kept = []
    for line in lines.splitlines():
        message = orjson.loads(line)
        if drop(message):
            continue
        message.pop("time_extracted", None)
        if message["type"] == "RECORD" and "emitted_at" in message["record"]:
            del message["record"]["emitted_at"]
        if message["type"] == "TRACE":
            del message["trace"]["emitted_at"]
        kept.append(message)
    return kept
