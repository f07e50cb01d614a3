"""examples/postgres.sh loads PostgreSQL and resumes from its state."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import by_key
from integration_tests.support.postgres import Cluster
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import ROOT, SECONDS, SINGER, clean_environment
from sandbox import Sandbox

SCRIPT = ROOT / "examples" / "postgres.sh"
PATH = f"{ROOT}/.venv/bin:{ROOT}/.venv-postgres/bin:{os.environ['PATH']}"

pytestmark = pytest.mark.clients


def sync(sandbox: Sandbox, cluster: Cluster, state: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, state],
        env={
            **clean_environment(),
            **cluster.environment,
            "PATH": PATH,
            "INCIDENT_API_KEY": sandbox.key,
            "INCIDENT_ENDPOINT": sandbox.url,
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "script",
            **settings,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def newest_incidents() -> str:
    """Return the query in the script's header comment."""
    (query,) = re.findall(r"^#   psql -c '(.*)'$", SCRIPT.read_text(), re.MULTILINE)
    return str(query).replace(" incident.", " script.")


def test_resumes_a_failed_sync_and_then_loads_the_changes(
    new_sandbox: StartSandbox, postgres: Cluster, catalog: Catalog, tmp_path: Path
) -> None:
    names = ["alerts", "incidents", "follow_ups", "users"]
    with_catalog = {"TAP_CATALOG": str(tmp_path / "catalog.json")}
    (tmp_path / "catalog.json").write_text(json.dumps(catalog.of(SINGER, names)))
    sandbox = new_sandbox(incidents=30, alerts=200, fault=["500:path=/v2/alerts,query=after="])
    state = tmp_path / "state.json"
    failed = sync(sandbox, postgres, state, INCIDENT_MAX_RETRIES="0", **with_catalog)
    assert failed.returncode == 1
    assert "alerts" in failed.stderr
    assert "alerts" in postgres.tables("script"), failed.stderr[-3000:]
    assert 0 < len(postgres.rows("script", ["alerts"])["alerts"]) < 200
    assert "resume" in json.loads(state.read_text())["bookmarks"]["alerts"]

    sandbox.config(fault=[])
    assert sync(sandbox, postgres, state).returncode == 0
    account = Account(sandbox).of(names)
    loaded = postgres.rows("script", names)
    for name in names:
        assert by_key(loaded[name], ["id"]).keys() == by_key(account[name], ["id"]).keys()
    assert postgres.tables("script") == set(catalog.by_default)
    assert len(postgres.lines(newest_incidents())) == min(10, len(account["incidents"]))

    user, alert = account["users"][0], account["alerts"][0]
    sandbox.put("alerts", [{**alert, "title": "changed\0", "updated_at": datetime.now(UTC).isoformat()}])
    sandbox.put("users", [{**user, "name": "changed"}])
    assert sync(sandbox, postgres, state, **with_catalog).returncode == 0
    reloaded = postgres.rows("script", names)
    assert {name: len(rows) for name, rows in reloaded.items()} == {name: len(rows) for name, rows in loaded.items()}
    assert by_key(reloaded["alerts"], ["id"])[(alert["id"],)]["title"] == "changed\ufffd"
    assert by_key(reloaded["users"], ["id"])[(user["id"],)]["name"] == "changed"
    assert "resume" not in json.dumps(json.loads(state.read_text()))


def test_loses_no_record_if_the_output_ends_within_a_line(
    new_sandbox: StartSandbox, postgres: Cluster, catalog: Catalog, tmp_path: Path
) -> None:
    """As when the tap's container is killed."""
    names = ["alerts", "follow_ups", "users"]
    sandbox = new_sandbox(alerts=400, follow_ups=400)
    settings = {
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "cut",
        "TARGET_POSTGRES_BATCH_SIZE_ROWS": "30",
        "TAP_CATALOG": str(tmp_path / "catalog.json"),
    }
    (tmp_path / "catalog.json").write_text(json.dumps(catalog.of(SINGER, names)))
    tap = tmp_path / "tap-incident"
    tap.write_text(f'#!/bin/sh\n"{ROOT}/.venv/bin/tap-incident" "$@" | head -c 500000\n')
    tap.chmod(0o755)
    state = tmp_path / "state.json"
    cut = sync(sandbox, postgres, state, PATH=f"{tmp_path}:{PATH}", **settings)
    assert cut.returncode == 1
    assert "Unable to parse line as JSON" in cut.stderr
    stored = sum(map(len, postgres.rows("cut", postgres.tables("cut")).values()))
    assert sync(sandbox, postgres, state, **settings).returncode == 0
    account = Account(sandbox).of(names)
    assert 0 < stored < sum(map(len, account.values()))
    loaded = postgres.rows("cut", names)
    for name in names:
        assert len(loaded[name]) == len(account[name])
        assert by_key(loaded[name], ["id"]).keys() == by_key(account[name], ["id"]).keys()


def test_reports_a_missing_target_or_setting(new_sandbox: StartSandbox, postgres: Cluster, tmp_path: Path) -> None:
    sandbox = new_sandbox(incidents=1)
    without_target = sync(sandbox, postgres, tmp_path / "state.json", PATH=f"{ROOT}/.venv/bin:/usr/bin:/bin")
    assert without_target.returncode == 2
    assert "target-postgres is not on the PATH" in without_target.stderr
    without_user = sync(sandbox, postgres, tmp_path / "state.json", PGUSER="")
    assert without_user.returncode == 1
    assert "PGUSER" in without_user.stderr
    assert not (tmp_path / "state.json").exists()
