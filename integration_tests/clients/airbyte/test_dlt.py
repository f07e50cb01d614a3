"""examples/load_with_dlt.py loads into DuckDB what the account holds; then, what changed. It needs nothing more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import duckdb
import pytest

from integration_tests.clients.airbyte.warehouse import Warehouse, change
from integration_tests.conftest import KEY, SMALL
from integration_tests.support.tap import ROOT, SECONDS, Catalog
from sandbox import Sandbox

pytestmark = pytest.mark.clients


def test_dlt_loads_the_account_and_then_what_changed(catalog: Catalog, tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", "incident_io", "_dlt_load_id", catalog.keys)
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        load(sandbox, tmp_path)
        warehouse.assert_holds(sandbox, catalog.by_default)
        incremental = catalog.incremental & set(catalog.by_default)
        before = warehouse.marks(incremental)
        changed = change(sandbox, catalog.keys)
        load(sandbox, tmp_path)
        warehouse.assert_holds(sandbox, catalog.by_default)
    after = warehouse.marks(changed)
    for name, keys in changed.items():
        assert {key for key, mark in after[name].items() if before[name].get(key) != mark} == keys


def test_a_run_that_fails_loads_nothing(tmp_path: Path) -> None:
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        done = run(tmp_path, sandbox.url, "another-key-0815")
    assert done.returncode != 0
    assert "tap-incident ended with exit code" in done.stderr
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        assert connection.sql("SELECT * FROM duckdb_tables()").fetchall() == []


def load(sandbox: Sandbox, directory: Path) -> None:
    done = run(directory, sandbox.url, sandbox.key)
    assert done.returncode == 0, done.stderr[-3000:]


def run(directory: Path, endpoint: str, key: str) -> subprocess.CompletedProcess[str]:
    """As its user does, with tap-incident on the PATH and the key in the environment."""
    environment = {
        "DLT_DATA_DIR": str(directory / "dlt"),
        "INCIDENT_API_KEY": key,
        "INCIDENT_ENDPOINT": endpoint,
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    return subprocess.run(
        [ROOT / ".venv-dlt" / "bin" / "python", ROOT / "examples" / "load_with_dlt.py"],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
