"""What gives access to something leaves in no stream, in no message and in no log."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from integration_tests.conftest import MakeTap
from integration_tests.support.tap import Catalog
from sandbox import Sandbox

# Not taken from the declarations: one that is lost there has to be noticed here
CREDENTIALS = (
    ("alert_sources", "secret_token"),
    ("alert_sources", "alert_events_url"),
    ("alert_sources", "heartbeat_options.ping_url"),
    ("alert_notes", "images.url"),
    ("workflow_runs", "progress.webhook_delivery.endpoint"),
    ("secrets", "last_four_chars"),
)
# The sandbox's own tokens and the like are recognisable, wherever they are
INVENTED = "sandbox-credential"


def test_no_credential_is_emitted(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=10, updates=20, alerts=200)
    numbers = count()
    for name, path in CREDENTIALS:
        held = sandbox.snapshot(name)
        planted = []
        for record, parents in zip(held["records"], held.get("parents", [None] * held["count"]), strict=True):
            planted += plant(record, path.split("."), lambda: f"planted-{next(numbers):06}")
            sandbox.put(name, [record], parents)
        assert planted, f"{name}.{path}: no record has it"
    tap = tap_of(sandbox)
    run = tap.run(*tap.read_arguments(catalog.of(protocol, catalog.airbyte)), "--debug").ok()
    assert set(run.records) == set(catalog.airbyte)
    for where in (run.stdout.decode(), run.stderr):
        assert "planted-" not in where
        assert INVENTED not in where
        assert sandbox.key not in where


def plant(value: Any, path: list[str], make: Callable[[], str]) -> list[str]:
    """Puts a new value at a path, wherever the record has what is above it; the values."""
    if isinstance(value, list):
        return [made for item in value for made in plant(item, path, make)]
    if not isinstance(value, dict):
        return []
    if len(path) > 1:
        return plant(value.get(path[0]), path[1:], make)
    value[path[0]] = make()
    return [value[path[0]]]
