"""Credentials in the API's answers are never emitted or logged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import MakeTap

# Not taken from the declarations, so that a credential missing there fails this test
CREDENTIALS = (
    ("alert_sources", "secret_token"),
    ("alert_sources", "alert_events_url"),
    ("alert_sources", "heartbeat_options.ping_url"),
    ("alert_notes", "images.url"),
    ("workflow_runs", "progress.webhook_delivery.endpoint"),
    ("secrets", "last_four_chars"),
)
# Part of every credential that the sandbox invents
SANDBOX_CREDENTIAL = "sandbox-credential"


def test_emits_no_credential(new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str) -> None:
    sandbox = new_sandbox(incidents=10, updates=20, alerts=200)
    numbers = count()
    for name, path in CREDENTIALS:
        snapshot = sandbox.snapshot(name)
        planted = []
        for record, parents in zip(
            snapshot["records"], snapshot.get("parents", [None] * snapshot["count"]), strict=True
        ):
            planted += plant(record, path.split("."), lambda: f"planted-{next(numbers):06}")
            sandbox.put(name, [record], parents)
        assert planted, f"no record has {name}.{path}"
    tap = tap_of(sandbox)
    run = tap.run(*tap.read_arguments(catalog.of(protocol, catalog.airbyte)), "--debug").ok()
    assert set(run.records) == set(catalog.airbyte)
    for output in (run.stdout.decode(), run.stderr):
        assert "planted-" not in output
        assert SANDBOX_CREDENTIAL not in output
        assert sandbox.key not in output


def plant(value: Any, path: list[str], make: Callable[[], str]) -> list[str]:
    """Set a new value at a path, in every object that the path leads to; return the values."""
    if isinstance(value, list):
        return [planted for item in value for planted in plant(item, path, make)]
    if not isinstance(value, dict):
        return []
    if len(path) > 1:
        return plant(value.get(path[0]), path[1:], make)
    value[path[0]] = make()
    return [value[path[0]]]
