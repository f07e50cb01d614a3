"""Run a temporary PostgreSQL server, from Debian's package or from the PATH."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

SECONDS = 60
USER = "loader"
INITDB_OPTIONS = ("--no-sync", "--encoding", "UTF8", "--locale", "C")


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL server on 127.0.0.1. `USER` needs no password."""

    programs: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that connect libpq's programs to the server."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER, "PGPASSWORD": "none"} | {
            "PGDATABASE": "postgres"
        }

    def lines(self, *queries: str) -> list[str]:
        """Return what psql prints for the queries: one line per row."""
        arguments = [argument for query in queries for argument in ("--command", query)]
        process = subprocess.run(
            [self.programs / "psql", "--no-psqlrc", "--tuples-only", "--no-align", *arguments],
            env={**os.environ, **self.environment, "PGCLIENTENCODING": "UTF8"},
            capture_output=True,
            timeout=SECONDS,
        )
        assert process.returncode == 0, process.stderr.decode()
        return process.stdout.decode().split("\n")[:-1]

    def tables(self, schema: str) -> set[str]:
        return set(self.lines(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"))  # noqa: S608

    def rows(self, schema: str, tables: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of some tables as JSON values: fractions as Decimal, timestamps as text without a zone."""
        names = list(tables)
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        # Hexadecimal, because psql omits characters that it considers invisible.
        select = "SELECT '{1} ' || encode(convert_to(row_to_json(r)::text, 'UTF8'), 'hex') FROM {0}.\"{1}\" r"
        for line in self.lines(*(select.format(schema, name) for name in names)):
            name, _, row = line.partition(" ")
            found[name].append(json.loads(bytes.fromhex(row), parse_float=Decimal))
        return found


def programs() -> Path | None:
    """Return the directory of PostgreSQL's programs; None if PostgreSQL is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return debian[-1] if debian else Path(on_path).parent if on_path else None


@contextmanager
def cluster(binaries: Path, **settings: str) -> Iterator[Cluster]:
    """Run a server while the `with` block lasts, then delete its data.

    PostgreSQL refuses to run as root, so root starts it as `nobody`.

    Args:
        binaries: directory of PostgreSQL's programs.
        settings: settings of postgresql.conf.
    """
    account = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    given = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "full_page_writes": "off",
        **settings,
    }
    with tempfile.TemporaryDirectory(prefix="postgres") as directory:
        if account:
            shutil.chown(directory, "nobody")
        data = Path(directory) / "data"
        subprocess.run(
            [binaries / "initdb", "--pgdata", data, "--username", USER, "--auth", "trust", *INITDB_OPTIONS],
            cwd=directory,
            capture_output=True,
            timeout=SECONDS,
            check=True,
            **account,
        )
        port = _free_port()
        options = " ".join(f"-c {name}={value}" for name, value in {**given, "port": str(port)}.items())
        control = [binaries / "pg_ctl", "--pgdata", data, "--wait", "--silent"]
        log = Path(directory) / "log"
        subprocess.run(
            [*control, "--log", log, "--options", options, "start"],
            cwd=directory,
            timeout=SECONDS,
            check=True,
            **account,
        )
        try:
            yield Cluster(binaries, port)
        finally:
            subprocess.run(
                [*control, "--mode", "immediate", "stop"], cwd=directory, timeout=SECONDS, check=True, **account
            )


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
