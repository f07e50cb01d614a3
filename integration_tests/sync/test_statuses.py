"""The order of messages while the reader is slower than the program."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import AIRBYTE, MakeTap, Run

# Each fails at another moment: at its first page, at a later one, at a child.
FAULTS = (
    "500:path=/v2/alerts,query=after=,nth=2-",
    "500:path=/v2/escalations",
    "500:path=/v1/custom_field_options,nth=2-",
    "403:path=/v2/incident_updates,query=after=",
    "500:path=/v3/follow_ups,query=after=",
)
NAMES = (
    "incidents", "alerts", "escalations", "custom_fields", "custom_field_options", "incident_updates", "follow_ups",
    "call_sessions", "severities",
)  # fmt: skip


@pytest.mark.parametrize("protocol", [AIRBYTE])
@pytest.mark.parametrize("workers", [1, 10])
def test_statuses_are_in_order_while_streams_fail_and_the_reader_is_slow(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, workers: int
) -> None:
    """Each stream is STARTED, then RUNNING before its first record, then COMPLETE or INCOMPLETE, and nothing after."""
    sandbox = new_sandbox(incidents=60, updates=800, follow_ups=600, alerts=400, fault=list(FAULTS))
    tap = tap_of(sandbox, num_workers=workers, max_retries=0)
    process = tap.start(*tap.read_arguments(catalog.of(AIRBYTE, NAMES)))
    assert process.stdout is not None
    output = b""
    # Less than a page at a time, so that the pipe is full most of the time.
    while chunk := process.stdout.read(16_384):
        output += chunk
        time.sleep(0.005)
    run = tap.wait(process, output)
    assert run.code == 1
    events = events_of(run)
    assert events.keys() == set(NAMES)
    last = {name: stream_events[-1] for name, stream_events in events.items()}
    failed = {"alerts", "escalations", "custom_field_options", "incident_updates", "follow_ups", "incidents"}
    assert {name for name in NAMES if last[name] == "INCOMPLETE"} <= failed
    assert {name for name in NAMES if last[name] == "COMPLETE"} >= set(NAMES) - failed
    for name, found in events.items():
        statuses = [event for event in found if event not in ("RECORD", "STATE")]
        assert statuses in (["STARTED", "RUNNING", last[name]], ["STARTED", last[name]]), name
        assert found[0] == "STARTED"
        if "RECORD" in found:
            assert found.index("RUNNING") < found.index("RECORD")


def events_of(run: Run) -> dict[str, list[str]]:
    """Return the statuses, records and states of each stream, in order."""
    events: dict[str, list[str]] = defaultdict(list)
    for message in run.messages:
        found = _event(message)
        if found:
            events[found[0]].append(found[1])
    return events


def _event(message: dict[str, Any]) -> tuple[str, str] | None:
    if message["type"] == "RECORD":
        return message["record"]["stream"], "RECORD"
    if message["type"] == "STATE":
        return message["state"]["stream"]["stream_descriptor"]["name"], "STATE"
    if message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
        status = message["trace"]["stream_status"]
        return status["stream_descriptor"]["name"], status["status"]
    return None
