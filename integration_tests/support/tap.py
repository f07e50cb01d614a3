"""Run the program as a separate process, in either protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
MakeTap = Callable[..., "Tap"]


# A shell without job control ignores these signals in background processes, and the program would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@dataclass(frozen=True)
class Run:
    """Output and exit code of one run of the program.

    Attributes:
        protocol: airbyte or singer.
        code: the exit code; a negative number is the signal that ended the process.
        stdout: the part of stdout that was read.
        stderr: all of stderr.
    """

    protocol: str
    code: int
    stdout: bytes
    stderr: str

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """The messages on stdout. An incomplete last line is ignored."""
        return [orjson.loads(line) for line in self.stdout.split(b"\n")[:-1]]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    @cached_property
    def records(self) -> dict[str, list[Record]]:
        """The emitted records, by stream and in order."""
        found: dict[str, list[Record]] = defaultdict(list)
        for stream, record in records_of(self.messages):
            found[stream].append(record)
        return found

    @property
    def counts(self) -> dict[str, int]:
        return {stream: len(records) for stream, records in self.records.items()}

    @property
    def state(self) -> Any:
        """The state that a platform passes to the next run; None if no state was emitted."""
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
        """The last state of each stream, with the keys of the Airbyte protocol."""
        return stream_states(self.state)

    @property
    def log(self) -> str:
        """All log and error messages, in either protocol."""
        if self.protocol == SINGER:
            return self.stderr
        lines = [message["log"]["message"] for message in self.of_type("LOG")]
        lines += [trace["error"]["message"] for trace in self.traces("ERROR")]
        return "\n".join([*lines, self.stderr])

    def log_lines(self, *words: str) -> list[str]:
        """Return the log lines that contain all words."""
        return [line for line in self.log.splitlines() if all(word in line for word in words)]

    def traces(self, kind: str) -> list[dict[str, Any]]:
        return [message["trace"] for message in self.of_type("TRACE") if message["trace"]["type"] == kind]

    def statuses(self, stream: str) -> list[str]:
        """The statuses of a stream, in order. Airbyte only."""
        return [
            trace["stream_status"]["status"]
            for trace in self.traces("STREAM_STATUS")
            if trace["stream_status"]["stream_descriptor"]["name"] == stream
        ]

    def ok(self) -> Run:
        """Return the run after checking that its exit code is 0."""
        assert self.code == 0, f"exit {self.code}: {self.log[-3000:]}"
        return self


def records_of(messages: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Record]]:
    """Yield the stream and the data of each RECORD message."""
    for message in messages:
        if message["type"] == "RECORD":
            record = message["record"]
            if "stream" in message:
                yield message["stream"], record
            else:
                yield record["stream"], record["data"]


def stream_states(state: Any) -> dict[str, dict[str, Any]]:
    """Return the state of each stream in a state file, with the keys of the Airbyte protocol."""
    if not state:
        return {}
    if isinstance(state, list):
        return {item["stream"]["stream_descriptor"]["name"]: item["stream"].get("stream_state") or {} for item in state}
    found = {}
    for name, bookmark in state["bookmarks"].items():
        state_of_stream = dict(bookmark)
        if "replication_key_value" in state_of_stream:
            cursor_field = state_of_stream.pop("replication_key")
            state_of_stream[cursor_field] = state_of_stream.pop("replication_key_value")
        found[name] = state_of_stream
    return found


@dataclass
class Tap:
    """Starts the program with a config.

    Attributes:
        protocol: airbyte or singer.
        config: the settings.
        directory: directory for the config, catalog and state files.
    """

    protocol: str
    config: Mapping[str, Any]
    directory: Path

    def read(self, catalog: Any = None, state: Any = None, **config: Any) -> Run:
        """Run a sync until it ends."""
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
        """Run check or discover."""
        flags = {"check": "--test", "discover": "--discover"}
        command = name if self.protocol == AIRBYTE else flags[name]
        return self.run(command, "--config", self.file("config", {**self.config, **config}))

    def discover(self) -> dict[str, Any]:
        """Return the catalog that discovery prints, in this protocol's format."""
        run = self.command("discover").ok()
        if self.protocol == SINGER:
            catalog: dict[str, Any] = orjson.loads(run.stdout)
            return catalog
        (message,) = run.of_type("CATALOG")
        return dict(message["catalog"])

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Run:
        process = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=ROOT,
            env={**clean_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
        return Run(self.protocol, process.returncode, process.stdout, process.stderr.decode())

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the program with pipes for stdout and stderr."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def wait(self, process: subprocess.Popen[bytes], output: bytes = b"") -> Run:
        """Wait until a process ends. `output` is the part of its stdout that was already read."""
        assert process.stdout is not None
        assert process.stderr is not None
        with process:
            rest, errors = process.stdout.read(), process.stderr.read()
            return Run(self.protocol, process.wait(SECONDS), output + rest, errors.decode())

    @staticmethod
    def read_lines(process: subprocess.Popen[bytes], until: Callable[[bytes], bool]) -> bytes:
        """Read lines of a process's stdout until `until` holds for all that was read; return them."""
        assert process.stdout is not None
        output = b""
        while not until(output):
            line = process.stdout.readline()
            assert line, "the program ended too early"
            output += line
        return output

    def read_until(self, lines: int, *arguments: str, drain: bool) -> Run:
        """Start a read and kill it with SIGKILL after a number of lines, unless it ends earlier.

        Args:
            lines: number of lines on stdout.
            arguments: arguments of the read.
            drain: also keep what the pipe holds when the process dies, including an incomplete line.
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
            output = []
            for line in process.stdout:
                output.append(line)
                if len(output) >= lines:
                    process.kill()
                    break
            rest = process.stdout.read() if drain else b""
            code = process.wait(SECONDS)
            errors.seek(0)
            return Run(self.protocol, code, b"".join(output) + rest, errors.read().decode())

    def file(self, name: str, document: Any) -> str:
        """Write a JSON file into the directory and return its path."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{name}.json"
        path.write_text(json.dumps(document))
        return str(path)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without variables that configure the tap."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("INCIDENT_", "TAP_INCIDENT_"))
    } | {"PYTHONUNBUFFERED": "1"}
