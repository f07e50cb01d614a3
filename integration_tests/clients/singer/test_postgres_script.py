"""examples/postgres.sh, from nothing to rows in PostgreSQL, and on from where it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration_tests.clients.singer.postgres import Cluster
from integration_tests.support.account import Account
from integration_tests.support.tap import ROOT, SECONDS, SINGER, Catalog, by_key, clean_environment
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
    """The query that the script shows at its beginning."""
    (query,) = re.findall(r"^#   psql -c '(.*)'$", SCRIPT.read_text(), re.MULTILINE)
    return str(query).replace(" incident.", " script.")


def test_a_sync_that_failed_goes_on_and_the_next_brings_what_changed(
    new_sandbox: Callable[..., Sandbox], postgres: Cluster, catalog: Catalog, tmp_path: Path
) -> None:
    names = ["alerts", "incidents", "follow_ups", "users"]
    some = {"TAP_CATALOG": str(tmp_path / "catalog.json")}
    (tmp_path / "catalog.json").write_text(json.dumps(catalog.of(SINGER, names)))
    sandbox = new_sandbox(incidents=30, alerts=200, fault=["status:status=500,path=/v2/alerts,query=after="])
    state = tmp_path / "state.json"
    broken = sync(sandbox, postgres, state, INCIDENT_MAX_RETRIES="0", **some)
    assert broken.returncode == 1
    assert "alerts" in broken.stderr
    assert "alerts" in postgres.tables("script"), broken.stderr[-3000:]
    assert 0 < len(postgres.rows("script", ["alerts"])["alerts"]) < 200
    assert "resume" in json.loads(state.read_text())["bookmarks"]["alerts"]

    sandbox.config(fault=[])
    assert sync(sandbox, postgres, state).returncode == 0
    account = Account(sandbox).of(names)
    held = postgres.rows("script", names)
    for name in names:
        assert by_key(held[name], ["id"]).keys() == by_key(account[name], ["id"]).keys()
    assert postgres.tables("script") == set(catalog.by_default)
    assert len(postgres.lines(newest_incidents())) == min(10, len(account["incidents"]))

    user, alert = account["users"][0], account["alerts"][0]
    sandbox.put("alerts", [{**alert, "title": "changed\0", "updated_at": datetime.now(UTC).isoformat()}])
    sandbox.put("users", [{**user, "name": "changed"}])
    assert sync(sandbox, postgres, state, **some).returncode == 0
    again = postgres.rows("script", names)
    assert {name: len(rows) for name, rows in again.items()} == {name: len(rows) for name, rows in held.items()}
    assert by_key(again["alerts"], ["id"])[(alert["id"],)]["title"] == "changed\ufffd"
    assert by_key(again["users"], ["id"])[(user["id"],)]["name"] == "changed"
    assert "resume" not in json.dumps(json.loads(state.read_text()))


def test_output_that_is_cut_off_in_a_line_loses_nothing(
    new_sandbox: Callable[..., Sandbox], postgres: Cluster, catalog: Catalog, tmp_path: Path
) -> None:
    """As when the tap's container is killed: the pipe then ends anywhere."""
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
    held = postgres.rows("cut", names)
    for name in names:
        assert len(held[name]) == len(account[name])
        assert by_key(held[name], ["id"]).keys() == by_key(account[name], ["id"]).keys()


def test_it_says_what_is_missing(new_sandbox: Callable[..., Sandbox], postgres: Cluster, tmp_path: Path) -> None:
    sandbox = new_sandbox(incidents=1)
    without_target = sync(sandbox, postgres, tmp_path / "state.json", PATH=f"{ROOT}/.venv/bin:/usr/bin:/bin")
    assert without_target.returncode == 2
    assert "target-postgres is not on the PATH" in without_target.stderr
    without_user = sync(sandbox, postgres, tmp_path / "state.json", PGUSER="")
    assert without_user.returncode == 1
    assert "PGUSER: is not set" in without_user.stderr
    assert not (tmp_path / "state.json").exists()
