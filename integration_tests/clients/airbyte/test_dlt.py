"""examples/load_with_dlt.py loads the account into DuckDB, then the changes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import duckdb
import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import KEY, SMALL
from integration_tests.support.tap import ROOT, SECONDS
from integration_tests.support.warehouse import Warehouse, change_account
from sandbox import Sandbox

pytestmark = pytest.mark.clients


def test_loads_the_account_and_then_the_changes(catalog: Catalog, tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", "incident_io", catalog.keys, "_dlt_load_id")
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        load(sandbox, tmp_path)
        warehouse.assert_holds(sandbox, catalog.by_default)
        incremental = catalog.incremental & set(catalog.by_default)
        before = warehouse.loads(incremental)
        changed = change_account(sandbox, catalog.keys)
        load(sandbox, tmp_path)
        warehouse.assert_holds(sandbox, catalog.by_default)
    after = warehouse.loads(changed)
    for name, keys in changed.items():
        assert {key for key, load_id in after[name].items() if before[name].get(key) != load_id} == keys


def test_a_failed_run_loads_nothing(tmp_path: Path) -> None:
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        process = run(tmp_path, sandbox.url, "another-key-0815")
    assert process.returncode != 0
    assert "tap-incident ended with exit code" in process.stderr
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        assert connection.sql("SELECT * FROM duckdb_tables()").fetchall() == []


def load(sandbox: Sandbox, directory: Path) -> None:
    process = run(directory, sandbox.url, sandbox.key)
    assert process.returncode == 0, process.stderr[-3000:]


def run(directory: Path, endpoint: str, key: str) -> subprocess.CompletedProcess[str]:
    """Run the example with tap-incident on the PATH and the key in the environment."""
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
