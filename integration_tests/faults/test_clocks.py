"""Wrong and jumping clocks: the next sync emits what changed after the first one."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from integration_tests.faults.report import WRITE, Report
from integration_tests.faults.runs import assert_clean_output
from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox
from integration_tests.support.tap import PROTOCOLS, MakeTap, Run, Tap
from sandbox import Sandbox

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
NAMES = ("alerts", "actions")
RESULT = "every record is emitted; the next sync emits what changed after this one"


def assert_nothing_is_missed(sandbox: Sandbox, catalog: Catalog, tap: Tap, first: Run) -> None:
    """Check that the first run emitted every record, and that the next one emits a later change."""
    destination = Destination(catalog.keys)
    destination.load(first)
    assert_clean_output(first)
    assert not list(differences(destination, Account(sandbox).of(NAMES)))
    bookmark = first.states["alerts"]["updated_at"]
    assert datetime.fromisoformat(bookmark) <= datetime.now(UTC), "the next sync would miss the changes until then"
    (record, *_) = sandbox.records("alerts")
    record["updated_at"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    sandbox.put("alerts", [{**record, "title": "Changed after the first sync"}])
    destination.load(tap.read(catalog.of(tap.protocol, NAMES), first.state).ok())
    assert not list(differences(destination, Account(sandbox).of(NAMES)))


@pytest.mark.parametrize(
    ("clock", "protocol", "fault"),
    [
        ("a day ahead", PROTOCOLS[0], "date:offset=86400"),
        ("a day behind", PROTOCOLS[1], "date:offset=-86400"),
        ("a day ahead from the third answer", PROTOCOLS[0], "date:offset=86400,nth=3-"),
        ("an invalid date", PROTOCOLS[1], "date:value=soon"),
    ],
)
def test_tolerates_a_wrong_api_clock(
    new_sandbox: StartSandbox,
    tap_of: MakeTap,
    catalog: Catalog,
    clock: str,
    protocol: str,
    fault: str,
    reliability: Report,
) -> None:
    """The `Date` header of the API is wrong. The bookmark of a sync comes from this header, or from the machine's clock
    if that is behind."""
    sandbox = new_sandbox(alerts=160, fault=[fault])
    tap = tap_of(sandbox)
    assert_nothing_is_missed(sandbox, catalog, tap, tap.read(catalog.of(protocol, NAMES)).ok())
    reliability(clock, RESULT)


@pytest.mark.parametrize(("before", "after", "protocol"), [("+2d", "-2d", PROTOCOLS[0]), ("-2d", "+2d", PROTOCOLS[1])])
def test_tolerates_a_jump_of_the_machine_clock(
    new_sandbox: StartSandbox,
    tap_of: MakeTap,
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    after: str,
    protocol: str,
    reliability: Report,
) -> None:
    """The clock of the machine jumps by four days during the sync, while a request is retried."""
    if not FAKETIME:
        problem = "libfaketime is not installed (Debian: apt-get install libfaketime)"
        if os.environ.get("CI") or WRITE:
            pytest.fail(problem)
        pytest.skip(problem)
    sandbox = new_sandbox(alerts=160, fault=["503:path=/v2/alerts,query=after=,times=1"])
    tap = tap_of(sandbox)
    clock = tmp_path / "clock"
    clock.write_text(before)
    faked: dict[str, Any] = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with monkeypatch.context() as environment:
        for name, value in faked.items():
            environment.setenv(name, value)
        process = tap.start(*tap.read_arguments(catalog.of(protocol, NAMES)))
    output = tap.read_lines(process, until=lambda output: b'"RECORD"' in output)
    clock.write_text(after)
    assert_nothing_is_missed(sandbox, catalog, tap, tap.wait(process, output).ok())
    reliability(f"{before} at the start, {after} after the first record", RESULT)
