"""Clocks that are wrong, or jump: what changes after a sync comes in the next one."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.faults.conftest import Reliability
from integration_tests.faults.runs import clean
from integration_tests.support.account import Account
from integration_tests.support.compare import differences
from integration_tests.support.tap import PROTOCOLS, Catalog, Destination, Run, Tap
from sandbox import Sandbox

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
NAMES = ("alerts", "actions")


def complete(sandbox: Sandbox, catalog: Catalog, tap: Tap, first: Run) -> None:
    """Sees that the first run brought everything, and a run from its state what changed after it."""
    destination = Destination(catalog.keys)
    destination.load(first)
    clean(first)
    assert not list(differences(destination, Account(sandbox).of(NAMES)))
    bookmark = first.states["alerts"]["updated_at"]
    assert datetime.fromisoformat(bookmark) <= datetime.now(UTC), "what changes until then would not be read"
    (record, *_) = sandbox.records("alerts")
    record["updated_at"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    sandbox.put("alerts", [{**record, "title": "Changed after the first sync"}])
    destination.load(tap.read(catalog.of(tap.protocol, NAMES), first.state).ok())
    assert not list(differences(destination, Account(sandbox).of(NAMES)))


@pytest.mark.parametrize(
    ("what", "protocol", "fault"),
    [
        ("a day ahead", PROTOCOLS[0], "date:offset=86400"),
        ("a day behind", PROTOCOLS[1], "date:offset=-86400"),
        ("a day ahead from the third answer on", PROTOCOLS[0], "date:offset=86400,nth=3-"),
        ("no date at all", PROTOCOLS[1], "date:value=soon"),
    ],
)
def test_the_clock_of_the_api(
    new_sandbox: Callable[..., Sandbox],
    tap_of: MakeTap,
    catalog: Catalog,
    what: str,
    protocol: str,
    fault: str,
    reliability: Reliability,
) -> None:
    """The API's `Date`, by which a sync's bookmark is set, is wrong. Of the API's clock and the machine's, the one
    that is behind counts:"""
    sandbox = new_sandbox(alerts=160, fault=[fault])
    tap = tap_of(sandbox)
    complete(sandbox, catalog, tap, tap.read(catalog.of(protocol, NAMES)).ok())
    reliability(f"{what}", "every record came; so did what changed after that sync, in the next one")


@pytest.mark.parametrize(("before", "after", "protocol"), [("+2d", "-2d", PROTOCOLS[0]), ("-2d", "+2d", PROTOCOLS[1])])
def test_the_clock_of_the_machine(
    new_sandbox: Callable[..., Sandbox],
    tap_of: MakeTap,
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    after: str,
    protocol: str,
    reliability: Reliability,
) -> None:
    """The clock of the machine that syncs jumps by four days in the middle of it, while a request is tried again:"""
    if not FAKETIME and not os.environ.get("CI"):
        pytest.skip("libfaketime is not installed (Debian: apt-get install libfaketime)")
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
    assert process.stdout is not None
    taken = b""
    while b'"RECORD"' not in taken:
        line = process.stdout.readline()
        assert line, "it ended by itself"
        taken += line
    clock.write_text(after)
    run = tap.ended(process, taken).ok()
    complete(sandbox, catalog, tap, run)
    reliability(
        f"{before} when it starts, {after} from then on",
        "every record came; so did what changed after that sync, in the next one",
    )
