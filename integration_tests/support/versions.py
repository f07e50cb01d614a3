"""Versions of full reads in the tap's output, and outputs that end early."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from integration_tests.support.tap import Run
from sandbox import Sandbox


def activations(run: Run) -> dict[str, int]:
    """Return the activated version of each stream."""
    messages = run.of_type("ACTIVATE_VERSION")
    found = {message["stream"]: message["version"] for message in messages}
    assert len(found) == len(messages), "a stream was activated twice"
    return found


def versions(run: Run, stream: str) -> set[int | None]:
    """Return the versions of a stream's records."""
    return {message.get("version") for message in run.of_type("RECORD") if message["stream"] == stream}


def cut(run: Run, count: int) -> Run:
    """Return the run as if it had been killed after this number of messages."""
    lines = run.stdout.splitlines(keepends=True)
    return replace(run, code=-9, stdout=b"".join(lines[:count]))


def full_read_is_due(state: Any, stream: str) -> Any:
    """Return a Singer state in which the stream's last full read was a month ago."""
    moved = copy.deepcopy(state)
    started_at = datetime.now(UTC) - timedelta(days=30)
    full_read = moved["bookmarks"][stream]["full_read"]
    full_read["began"] = started_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    full_read["version"] = int(started_at.timestamp() * 1000)
    return moved


def attached_incident(sandbox: Sandbox) -> str:
    """Return the id of an incident with attachments on the first of several pages, which are newest first."""
    attached = {parent["incident_id"] for parent in sandbox.snapshot("incident_attachments")["parents"]}
    return str(
        max(
            record["id"]
            for record in sandbox.records("incidents")
            if record["id"] in attached and record["mode"] == "standard"
        )
    )
