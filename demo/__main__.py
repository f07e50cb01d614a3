"""Run the demo: start the mock API, sync it into DuckDB, print query results and draw a chart."""

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
STREAMS_PER_ROW = 2
WAIT_SECONDS = 120

console = Console(highlight=False)


class DemoError(Exception):
    """The demo failed. The message names the program and its log file."""


def main() -> None:
    """Run the demo. If a part fails, print an error with the end of its log and exit with code 1."""
    started_at = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as directory, sandbox() as url:
            console.print(f"The mock API of a made-up company listens on [bold]{url}[/].")
            emitted = sync(Path(directory), url)
        show(emitted)
    except DemoError as error:
        console.print(f"[bold red]{error}[/]")
        sys.exit(1)
    seconds = time.monotonic() - started_at
    database = DATABASE.relative_to(ROOT)
    console.print(f"\n{seconds:.0f} seconds. Run your own queries on the database: {database}")


@contextmanager
def sandbox() -> Iterator[str]:
    """Run the mock API on a free port and yield its URL."""
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
                raise failed("the mock API", log)
            yield line[line.index("http://") :].strip()
        finally:
            program.terminate()
            program.wait(WAIT_SECONDS)


def sync(directory: Path, url: str) -> dict[str, int]:
    """Pipe the tap into the target and count the records.

    Args:
        directory: for the two config files.
        url: the API's URL.

    Returns:
        The number of distinct primary keys by stream.

    Raises:
        DemoError: the tap or the target failed.
    """
    tap_config = directory / "tap.json"
    tap_config.write_text(json.dumps({"api_key": "sandbox-key", "endpoint": url}))
    target_config = directory / "target.json"
    # Without metadata columns the target's CSV reader can take a first row for a header.
    target_config.write_text(
        json.dumps({"path": str(DATABASE), "default_target_schema": "main", "add_metadata_columns": True})
    )
    for old in HERE.glob("*.duckdb*"):
        old.unlink()
    console.print("$ tap-incident --config tap.json | target-duckdb --config target.json")

    tap_log, target_log = HERE / "tap.log", HERE / "target.log"
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
                counts = forward(messages, loader)
        except BrokenPipeError:
            raise failed("target-duckdb", target_log) from None
        except json.JSONDecodeError:
            raise failed("tap-incident wrote a line that is not JSON and", tap_log) from None
        finally:
            exit_codes = [program.wait(WAIT_SECONDS) for program in (tap, target)]
    if exit_codes[0]:
        raise failed("tap-incident", tap_log)
    if exit_codes[1]:
        raise failed("target-duckdb", target_log)
    return counts


def forward(messages: IO[str], loader: IO[str]) -> dict[str, int]:
    """Copy the tap's messages to the target and return the number of distinct primary keys by stream."""
    keys: dict[str, list[str]] = {}
    emitted_keys: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for line in messages:
        loader.write(line)
        message = json.loads(line)
        if message["type"] == "SCHEMA":
            keys[message["stream"]] = message["key_properties"]
        elif message["type"] == "RECORD":
            stream, record = message["stream"], message["record"]
            emitted_keys[stream].add(tuple(str(record[key]) for key in keys[stream]))
    return {stream: len(emitted_keys[stream]) for stream in keys}


def show(emitted: dict[str, int]) -> None:
    """Print the row count of each table and the query results, and draw a chart of the first one.

    Raises:
        DemoError: a table does not have the rows that the tap emitted.
    """
    with duckdb.connect(str(DATABASE), read_only=True) as database:
        rows = {
            stream: database.sql(f'select count(*) from "{stream}"').fetchall()[0][0]  # noqa: S608
            for stream in emitted
        }
        if lost := [stream for stream in emitted if rows[stream] != emitted[stream]]:
            raise DemoError(f"these tables do not have the records that the tap emitted: {', '.join(lost)}")
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
        console.print(f"\nChart of the first result, for a browser: [bold]{PICTURE.relative_to(ROOT)}[/]")


def picture(database: duckdb.DuckDBPyConnection) -> str:
    """The first result as an SVG chart. Bars stack from the highest severity up to incidents without one."""
    (file,) = (HERE / "answers").glob("1-*.sql")
    answer = database.sql(file.read_text())
    by_rank = [name for (name,) in database.sql("select name from severities order by rank desc").fetchall()]
    severities = [name for name in [*by_rank, "(none)"] if name in answer.columns]
    columns = [answer.columns.index(name) for name in severities]
    months = {row[0]: [row[column] for column in columns] for row in reversed(answer.fetchall())}
    return chart("Incidents a month, by severity", severities, months)


def failed(name: str, log: Path) -> DemoError:
    """The error for a failed program, with the end of its log."""
    lines = log.read_text(errors="replace").splitlines()[-5:]
    return DemoError("\n".join([f"{name} failed; its log is {log.relative_to(ROOT)}", *lines]))


def _columns(rows: dict[str, int]) -> Table:
    """A table of the row counts with several streams per row, sorted down the columns."""
    table = Table(
        title=f"{len(rows)} streams, {sum(rows.values()):,} rows",
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
    )
    for _ in range(STREAMS_PER_ROW):
        table.add_column("stream")
        table.add_column("rows", justify="right")
    cells = sorted(rows.items())
    height = -(-len(cells) // STREAMS_PER_ROW)
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
