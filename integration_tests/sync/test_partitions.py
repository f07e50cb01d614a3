"""Long lists in parts: fewer waits, hardly more requests, and every record once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.support.account import Account
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, SINGER, Catalog, Destination, Run
from sandbox import Sandbox

StartSandbox = Callable[..., Sandbox]
PAGE = 50
LONG = 3000
LISTS = ["alerts", "escalations"]
# Creation times are whole days: about eight records share each.
DAY = 86_400


def spans(sandbox: Sandbox, stream: str) -> Counter[str]:
    """How often each span of creation was asked for."""
    log = sandbox.requests()["log"]
    queries = [parse_qs(entry["query"]) for entry in log if entry["path"] == f"/v2/{stream}"]
    return Counter(
        next((values[0] for name, values in query.items() if name.startswith("created_at")), "") for query in queries
    )


def ids(run: Run, stream: str) -> Counter[str]:
    return Counter(record["id"] for record in run.records[stream])


@pytest.mark.parametrize("workers", [1, 2, 20])
def test_a_long_list_comes_whole_and_once_with_any_number_of_workers(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, workers: int
) -> None:
    sandbox = new_sandbox(alerts=LONG, escalations=LONG, plain=True, round_times=DAY, incidents=20)
    account = Account(sandbox).of(LISTS)
    sandbox.reset()
    run = tap_of(sandbox, num_workers=workers).read(catalog.of(protocol, LISTS)).ok()
    for stream in LISTS:
        assert len({record["created_at"] for record in account[stream]}) < LONG / 5
        assert ids(run, stream) == Counter(record["id"] for record in account[stream])
        asked = spans(sandbox, stream)
        assert asked.total() <= LONG / PAGE * 1.05
        assert len(asked) == 1 if workers == 1 else len(asked) > 2
    destination = Destination(catalog.keys)
    destination.load(run)
    assert not list(differences(destination, account))


@pytest.mark.parametrize("protocol", [SINGER])
def test_a_short_list_is_read_in_one_chain(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=1000, escalations=1000, plain=True, incidents=20)
    tap_of(sandbox).read(catalog.of(protocol, LISTS)).ok()
    for stream in LISTS:
        assert spans(sandbox, stream) == {"": math.ceil(1000 / PAGE)}


@pytest.mark.parametrize(("protocol", "workers"), [(AIRBYTE, 1), (SINGER, 10), (AIRBYTE, 20)])
def test_a_sync_killed_while_a_list_is_read_in_parts_goes_on_with_each_of_them(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, workers: int
) -> None:
    sandbox = new_sandbox(alerts=LONG, plain=True, round_times=DAY, incidents=20)
    chosen = catalog.of(protocol, ["alerts"])
    tap = tap_of(sandbox)
    killed = tap.read_until(2100, *tap.read_arguments(chosen), drain=False)
    assert killed.code == -9
    parts = killed.states["alerts"]["resume"]["parts"]
    assert len(parts) > 1
    sandbox.reset()
    resumed = tap_of(sandbox, num_workers=workers).read(chosen, killed.state).ok()
    assert len(spans(sandbox, "alerts")) >= len(parts)
    assert spans(sandbox, "alerts").total() < LONG / PAGE / 2
    account = Account(sandbox).of(["alerts"])
    assert (ids(killed, "alerts") + ids(resumed, "alerts")).keys() == {record["id"] for record in account["alerts"]}
    # What had been emitted of a page or two of each part comes again.
    assert max(ids(resumed, "alerts").values()) == 1
    assert sum((ids(killed, "alerts") & ids(resumed, "alerts")).values()) <= 3 * PAGE * len(parts)
    assert "resume" not in resumed.states["alerts"]
    assert resumed.states["alerts"]["updated_at"]


@pytest.mark.parametrize("protocol", [SINGER])
def test_a_page_that_is_gone_from_one_part_starts_the_list_again(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=LONG, plain=True, incidents=20)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["alerts"])
    killed = tap.read_until(2100, *tap.read_arguments(chosen), drain=False)
    gone = next(part["after"] for part in killed.states["alerts"]["resume"]["parts"] if "after" in part)
    assert sandbox.delete("alerts", [gone]) == 1
    resumed = tap.read(chosen, killed.state).ok()
    assert "alerts: the page to go on from is gone" in resumed.log
    assert ids(resumed, "alerts").keys() == {record["id"] for record in Account(sandbox).of(["alerts"])["alerts"]}
