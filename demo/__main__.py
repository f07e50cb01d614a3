"""The demo's program: sandbox, tap, target, tables. Everything it starts, it ends."""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import duckdb
from rich.console import Console
from rich.table import Table

from demo.chart import chart

HERE = Path(__file__).parent
ROOT = HERE.parent
DATABASE = HERE / "incident.duckdb"
PICTURE = HERE / "incidents-by-severity.svg"
BIN = Path(sys.executable).parent
TARGET = ROOT / ".venv-targets" / "bin" / "target-duckdb"
STREAMS_A_ROW = 2
WAIT_SECONDS = 120

console = Console(highlight=False)


class DemoError(Exception):
    """The demo can't go on. The message says which program failed, and where its log is."""


def main() -> None:
    """Runs the demo; exits 1 with one line, and the log's end, when a part of it fails."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as directory, sandbox() as url:
            console.print(f"A made-up company's incident.io answers at [bold]{url}[/].")
            emitted = sync(Path(directory), url)
        show(emitted)
    except DemoError as error:
        console.print(f"[bold red]{error}[/]")
        sys.exit(1)
    seconds = time.monotonic() - began
    database = DATABASE.relative_to(ROOT)
    console.print(f"\n{seconds:.0f} seconds. The database is yours to ask more: {database}")


@contextmanager
def sandbox() -> Iterator[str]:
    """The sandbox on a free port; gives its URL."""
    log = HERE / "sandbox.log"
    with log.open("w") as errors:
        program = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            line = _stream(program.stdout).readline()
            if "http://" not in line:
                raise failed("the sandbox", log)
            yield line[line.index("http://") :].strip()
        finally:
            program.terminate()
            program.wait(WAIT_SECONDS)


def sync(directory: Path, url: str) -> dict[str, int]:
    """Pipes the tap into the target, as a shell would, and counts what went through.

    Args:
        directory: where the two config files are written.
        url: the API.

    Returns:
        the number of records by stream, each key once.

    Raises:
        DemoError: the tap or the target failed.
    """
    tap_config = directory / "tap.json"
    tap_config.write_text(json.dumps({"api_key": "sandbox-key", "endpoint": url}))
    target_config = directory / "target.json"
    # The metadata columns tell the target's CSV reader a first row from a header.
    target_config.write_text(
        json.dumps({"path": str(DATABASE), "default_target_schema": "main", "add_metadata_columns": True})
    )
    for old in HERE.glob("*.duckdb*"):
        old.unlink()
    console.print("$ tap-incident --config tap.json | target-duckdb --config target.json")

    tap_log, target_log = HERE / "tap.log", HERE / "target.log"
    keys: dict[str, list[str]] = {}
    seen: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    with tap_log.open("w") as tap_errors, target_log.open("w") as target_errors:
        tap = subprocess.Popen(
            [BIN / "tap-incident", "--config", tap_config],
            stdout=subprocess.PIPE,
            stderr=tap_errors,
            text=True,
        )
        target = subprocess.Popen(
            [TARGET, "--config", target_config],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=target_errors,
            text=True,
        )
        try:
            with _stream(tap.stdout) as messages, _stream(target.stdin) as loader:
                for line in messages:
                    loader.write(line)
                    message = json.loads(line)
                    if message["type"] == "SCHEMA":
                        keys[message["stream"]] = message["key_properties"]
                    elif message["type"] == "RECORD":
                        stream, record = message["stream"], message["record"]
                        seen[stream].add(tuple(str(record[key]) for key in keys[stream]))
        except BrokenPipeError:
            raise failed("target-duckdb", target_log) from None
        except json.JSONDecodeError:
            raise failed("tap-incident wrote a line that is not JSON and", tap_log) from None
        finally:
            ends = [program.wait(WAIT_SECONDS) for program in (tap, target)]
    if ends[0]:
        raise failed("tap-incident", tap_log)
    if ends[1]:
        raise failed("target-duckdb", target_log)
    return {stream: len(seen[stream]) for stream in keys}


def show(emitted: dict[str, int]) -> None:
    """Prints the rows of each table and the three answers, and draws one of them.

    Raises:
        DemoError: a table lacks rows that the tap emitted.
    """
    with duckdb.connect(str(DATABASE), read_only=True) as database:
        rows = {
            stream: database.sql(f'select count(*) from "{stream}"').fetchall()[0][0]  # noqa: S608
            for stream in emitted
        }
        if lost := [stream for stream in emitted if rows[stream] != emitted[stream]]:
            raise DemoError(f"the database has not what the tap emitted: {', '.join(lost)}")
        console.print(_columns(rows))
        for file in sorted((HERE / "answers").glob("*.sql")):
            query = file.read_text()
            question = query.splitlines()[0].removeprefix("-- ")
            console.print(f"\n[bold]{question}[/]\n[dim]{file.relative_to(ROOT)}[/]")
            answer = database.sql(query)
            table = Table(box=None, header_style="dim")
            for name, kind in zip(answer.columns, answer.types, strict=True):
                table.add_column(name, justify="left" if str(kind) == "VARCHAR" else "right")
            for row in answer.fetchall():
                table.add_row(*("-" if value is None else str(value) for value in row))
            console.print(table)
        PICTURE.write_text(picture(database), encoding="utf-8")
        console.print(f"\nThe first answer as a picture, for a browser: [bold]{PICTURE.relative_to(ROOT)}[/]")


def picture(database: duckdb.DuckDBPyConnection) -> str:
    """The first answer as a chart, an SVG: the gravest severity lowest, incidents without one on top."""
    (file,) = (HERE / "answers").glob("1-*.sql")
    answer = database.sql(file.read_text())
    named = [name for (name,) in database.sql("select name from severities order by rank desc").fetchall()]
    severities = [name for name in [*named, "(none)"] if name in answer.columns]
    places = [answer.columns.index(name) for name in severities]
    months = {row[0]: [row[place] for place in places] for row in reversed(answer.fetchall())}
    return chart("Incidents a month, by severity", severities, months)


def failed(name: str, log: Path) -> DemoError:
    """The error of a program that failed, with the end of its log."""
    lines = log.read_text(errors="replace").splitlines()[-5:]
    return DemoError("\n".join([f"{name} failed; its log is {log.relative_to(ROOT)}", *lines]))


def _columns(rows: dict[str, int]) -> Table:
    """The streams and their rows, several streams side by side, in columns from top to bottom."""
    table = Table(
        title=f"{len(rows)} streams, {sum(rows.values()):,} rows",
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
    )
    for _ in range(STREAMS_A_ROW):
        table.add_column("stream")
        table.add_column("rows", justify="right")
    cells = sorted(rows.items())
    height = -(-len(cells) // STREAMS_A_ROW)
    for start in range(height):
        line = cells[start::height]
        table.add_row(*(text for stream, count in line for text in (stream, f"{count:,}")))
    return table


def _stream(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise TypeError("the program was started without this pipe")
    return pipe


if __name__ == "__main__":
    main()
