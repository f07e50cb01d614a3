"""A PostgreSQL of the test's own, from Debian's package or whichever is on the PATH."""

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
PLAIN = ("--no-sync", "--encoding", "UTF8", "--locale", "C")


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL on 127.0.0.1 that asks `USER` for no password."""

    programs: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What libpq's programs need to reach it."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER, "PGPASSWORD": "none"} | {
            "PGDATABASE": "postgres"
        }

    def lines(self, *queries: str) -> list[str]:
        """What psql prints of the queries, a line a row."""
        arguments = [argument for query in queries for argument in ("--command", query)]
        done = subprocess.run(
            [self.programs / "psql", "--no-psqlrc", "--tuples-only", "--no-align", *arguments],
            env={**os.environ, **self.environment, "PGCLIENTENCODING": "UTF8"},
            capture_output=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().split("\n")[:-1]

    def tables(self, schema: str) -> set[str]:
        return set(self.lines(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"))  # noqa: S608

    def rows(self, schema: str, tables: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The rows of tables as JSON has them; numbers with a point are exact, moments a text without a zone."""
        names = list(tables)
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        # In hexadecimal, because psql leaves out characters that it takes for invisible.
        select = "SELECT '{1} ' || encode(convert_to(row_to_json(r)::text, 'UTF8'), 'hex') FROM {0}.\"{1}\" r"
        for line in self.lines(*(select.format(schema, name) for name in names)):
            name, _, row = line.partition(" ")
            found[name].append(json.loads(bytes.fromhex(row), parse_float=Decimal))
        return found


def programs() -> Path | None:
    """The directory of PostgreSQL's programs; None: it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return debian[-1] if debian else Path(on_path).parent if on_path else None


@contextmanager
def cluster(at: Path, **settings: str) -> Iterator[Cluster]:
    """Runs one for as long as the `with` block lasts; its data is gone afterwards.

    It refuses to be root, so root runs it as `nobody`.

    Args:
        at: PostgreSQL's programs.
        settings: of postgresql.conf.
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
            [at / "initdb", "--pgdata", data, "--username", USER, "--auth", "trust", *PLAIN],
            cwd=directory,
            capture_output=True,
            timeout=SECONDS,
            check=True,
            **account,
        )
        port = _free_port()
        options = " ".join(f"-c {name}={value}" for name, value in {**given, "port": str(port)}.items())
        control = [at / "pg_ctl", "--pgdata", data, "--wait", "--silent"]
        log = Path(directory) / "log"
        subprocess.run(
            [*control, "--log", log, "--options", options, "start"],
            cwd=directory,
            timeout=SECONDS,
            check=True,
            **account,
        )
        try:
            yield Cluster(at, port)
        finally:
            subprocess.run(
                [*control, "--mode", "immediate", "stop"], cwd=directory, timeout=SECONDS, check=True, **account
            )


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
