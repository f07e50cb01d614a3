"""target-duckdb loads the tap's output, and its state resumes a killed sync."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import by_key
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import ROOT, SECONDS, SINGER, MakeTap, Tap
from integration_tests.support.warehouse import Warehouse, same_value

TARGET = ROOT / ".venv-targets" / "bin" / "target-duckdb"

pytestmark = [
    pytest.mark.skipif(not TARGET.exists(), reason="target-duckdb is not installed (make integration installs it)"),
    pytest.mark.parametrize("protocol", [SINGER]),
]


def test_loads_the_recorded_account_with_equal_values(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, reference: Path, tmp_path: Path
) -> None:
    tap = tap_of(new_sandbox(data=str(reference / "sync")))
    database = tmp_path / "account.duckdb"
    pipe(tap, database, tap.read_arguments())
    warehouse = Warehouse(database, "main", catalog.keys)
    for file in sorted((reference / "sync").glob("*.json")):
        recorded = by_key(json.loads(file.read_text()), catalog.keys[file.stem])
        loaded = warehouse.rows(file.stem)
        assert loaded.keys() == recorded.keys()
        for key, record in recorded.items():
            for column, value in record.items():
                assert same_value(loaded[key][column], value), f"{file.stem} {key} {column}"


def test_the_state_that_the_target_prints_resumes_a_killed_sync(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, tmp_path: Path
) -> None:
    """A runner keeps the last state that the target printed, because the target knows what was loaded."""
    sandbox = new_sandbox(alerts=1500, plain=True, incidents=200, latency=15)
    tap = tap_of(sandbox)
    names = ["alerts", "actions", "incident_updates"]
    selected = catalog.of(SINGER, names)
    database = tmp_path / "account.duckdb"
    state = pipe(tap, database, tap.read_arguments(selected), kill_after=20)
    assert state is not None
    assert "resume" in json.dumps(state)
    sandbox.config(latency=0)
    pipe(tap, database, tap.read_arguments(selected, state))
    account = Account(sandbox).of(names)
    warehouse = Warehouse(database, "main", catalog.keys)
    for name in names:
        assert warehouse.rows(name).keys() == by_key(account[name], catalog.keys[name]).keys()


def pipe(tap: Tap, database: Path, arguments: list[str], kill_after: int | None = None) -> Any:
    """Pipe a read into the target.

    Args:
        tap: the tap.
        database: the DuckDB file.
        arguments: arguments of the read.
        kill_after: kill the tap after this number of requests.

    Returns:
        the last state that the target printed; None if it printed none.
    """
    config = database.with_suffix(".json")
    # Without metadata columns the target can mistake the first row for a header.
    config.write_text(
        json.dumps({"path": str(database), "default_target_schema": "main", "add_metadata_columns": True})
    )
    process = tap.start(*arguments)
    assert process.stderr is not None
    with subprocess.Popen(
        [TARGET, "--config", config],
        stdin=process.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as target:
        assert process.stdout is not None
        process.stdout.close()
        if kill_after is not None:
            _wait_for_requests(tap, kill_after)
            process.kill()
        errors = process.stderr.read().decode()
        printed, _ = target.communicate(timeout=SECONDS)
    assert process.wait(SECONDS) == (0 if kill_after is None else -9), errors
    assert target.returncode == 0 or kill_after is not None
    states = printed.splitlines()
    return json.loads(states[-1]) if states else None


def _wait_for_requests(tap: Tap, count: int) -> None:
    for _ in range(600):
        response = requests.get(f"{tap.config['endpoint']}/_sandbox/requests?log=0", timeout=10)
        if response.json()["total"] >= count:
            return
        time.sleep(0.05)
    raise AssertionError("the tap sends no requests")
