"""A Singer target of somebody else's loads what the tap writes, and its state resumes a killed sync."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests

from integration_tests.conftest import MakeTap
from integration_tests.support.account import Account
from integration_tests.support.tap import ROOT, SECONDS, SINGER, Catalog, Tap, without_nulls
from sandbox import Sandbox

TARGET = ROOT / ".venv-targets" / "bin" / "target-duckdb"

pytestmark = [
    pytest.mark.skipif(not TARGET.exists(), reason="target-duckdb is not installed (make integration installs it)"),
    pytest.mark.parametrize("protocol", [SINGER]),
]


def test_the_recorded_account_arrives_value_for_value(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, reference: Path, tmp_path: Path
) -> None:
    tap = tap_of(new_sandbox(data=str(reference / "sync")))
    database = tmp_path / "account.duckdb"
    pipe(tap, database, tap.read_arguments())
    for file in sorted((reference / "sync").glob("*.json")):
        recorded = {record["id"]: record for record in json.loads(file.read_text())}
        loaded = rows(database, file.stem)
        assert loaded.keys() == recorded.keys()
        for id_, record in recorded.items():
            for column, value in record.items():
                assert same(loaded[id_][column], value), f"{file.stem} {id_} {column}"


def test_the_targets_state_resumes_a_killed_sync(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, tmp_path: Path
) -> None:
    """The target is the one that knows what was loaded: its last state is what a runner keeps."""
    sandbox = new_sandbox(alerts=1500, plain=True, incidents=200, latency=15)
    tap = tap_of(sandbox)
    names = ["alerts", "actions", "incident_updates"]
    chosen = catalog.of(SINGER, names)
    database = tmp_path / "account.duckdb"
    state = pipe(tap, database, tap.read_arguments(chosen), kill_after=20)
    assert state is not None
    assert "resume" in json.dumps(state)
    sandbox.config(latency=0)
    pipe(tap, database, tap.read_arguments(chosen, state))
    account = Account(sandbox).of(names)
    for name in names:
        assert rows(database, name).keys() == {record["id"] for record in account[name]}


def pipe(tap: Tap, database: Path, arguments: list[str], kill_after: int | None = None) -> Any:
    """Pipes a read into the target, as a shell would.

    Args:
        kill_after: kill the tap once the sandbox was asked so often.

    Returns:
        the last state that the target printed; None: there was none.
    """
    config = database.with_suffix(".json")
    # The metadata columns tell the target's CSV reader a first row from a header.
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
        answer = requests.get(f"{tap.config['endpoint']}/_sandbox/requests?log=0", timeout=10)
        if answer.json()["total"] >= count:
            return
        time.sleep(0.05)
    raise AssertionError("the tap does not ask")


def rows(database: Path, table: str) -> dict[str, dict[str, Any]]:
    """A table's rows by id."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(f'SELECT * FROM main."{table}"')  # noqa: S608
        columns = [column[0] for column in found.description or []]
        table_rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    by_id = {row["id"]: row for row in table_rows}
    assert len(by_id) == len(table_rows)
    return by_id


def same(loaded: Any, value: Any) -> bool:
    """Whether a column holds a value of the API; null and absent are the same."""
    if isinstance(value, dict | list):
        return bool(without_nulls(json.loads(loaded) if isinstance(loaded, str) else loaded) == without_nulls(value))
    if isinstance(loaded, datetime):
        moment = datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        return loaded.replace(tzinfo=None) == moment
    return bool(loaded == value)
