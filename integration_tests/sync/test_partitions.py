"""Long lists read in partitions: hardly more requests, and every record once."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox, queries
from integration_tests.support.tap import AIRBYTE, SINGER, MakeTap, Run
from sandbox import Sandbox

PAGE = 50
LONG = 3000
LISTS = ["alerts", "escalations"]
# Creation times are rounded to days, so about eight records share each.
DAY = 86_400


def spans(sandbox: Sandbox, stream: str) -> Counter[str]:
    """Return the number of requests for each filter by the time of creation."""
    return Counter(
        next((f"{name}={values[0]}" for name, values in query.items() if name.startswith("created_at")), "")
        for query in queries(sandbox, f"/v2/{stream}")
    )


def ids(run: Run, stream: str) -> Counter[str]:
    return Counter(record["id"] for record in run.records[stream])


@pytest.mark.parametrize("workers", [1, 2, 20])
def test_reads_a_long_list_completely_with_any_number_of_workers(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, workers: int
) -> None:
    """Only the records of a moment at which the list was divided can come twice."""
    sandbox = new_sandbox(alerts=LONG, escalations=LONG, plain=True, round_times=DAY, incidents=20)
    account = Account(sandbox).of(LISTS)
    sandbox.reset()
    run = tap_of(sandbox, num_workers=workers).read(catalog.of(protocol, LISTS)).ok()
    for stream in LISTS:
        assert len({record["created_at"] for record in account[stream]}) < LONG / 5
        requests = spans(sandbox, stream)
        created_at = {record["id"]: datetime.fromisoformat(record["created_at"]) for record in account[stream]}
        assert ids(run, stream).keys() == created_at.keys()
        ends = {datetime.fromisoformat(span.partition("=")[2]) for span in requests if "[lte]" in span}
        assert {created_at[id_] for id_, count in ids(run, stream).items() if count > 1} <= ends
        assert max(ids(run, stream).values()) <= 2
        # Each sequence ends with an empty page, and each division replaces a filter by two.
        sequences = (len(requests) + 1) // 2
        assert requests.total() <= LONG / PAGE * 1.05 + sequences
        assert len(requests) == 1 if workers == 1 else len(requests) > 2
    destination = Destination(catalog.keys)
    destination.load(run)
    assert not list(differences(destination, account))


def test_loses_no_record_at_a_seam_if_the_api_cuts_timestamps(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """The API compares the timestamps in filters to the second, and every second has a record."""
    sandbox = new_sandbox(alerts=LONG, plain=True, incidents=20, filter_precision=1000)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    alerts = [
        {**alert, "created_at": (start + timedelta(seconds=number, milliseconds=500)).isoformat()}
        for number, alert in enumerate(sandbox.records("alerts"))
    ]
    sandbox.put("alerts", alerts)
    run = tap_of(sandbox).read(catalog.of(protocol, ["alerts"])).ok()
    assert len(spans(sandbox, "alerts")) > 2
    assert ids(run, "alerts").keys() == {alert["id"] for alert in alerts}
    assert ids(run, "alerts").total() <= LONG + 5 * len(spans(sandbox, "alerts"))


@pytest.mark.parametrize("protocol", [SINGER])
def test_does_not_divide_a_short_list(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=1000, escalations=1000, plain=True, incidents=20)
    tap_of(sandbox).read(catalog.of(protocol, LISTS)).ok()
    for stream in LISTS:
        assert spans(sandbox, stream) == {"": math.ceil(1000 / PAGE) + 1}, "the list ends with an empty page"


@pytest.mark.parametrize(("protocol", "workers"), [(AIRBYTE, 1), (SINGER, 10), (AIRBYTE, 20)])
def test_resumes_each_partition_after_a_kill(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, workers: int
) -> None:
    sandbox = new_sandbox(alerts=LONG, plain=True, round_times=DAY, incidents=20)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["alerts"])
    killed = tap.read_until(2100, *tap.read_arguments(selected), drain=False)
    assert killed.code == -9
    partitions = killed.states["alerts"]["resume"]["parts"]
    assert len(partitions) > 1
    sandbox.reset()
    resumed = tap_of(sandbox, num_workers=workers).read(selected, killed.state).ok()
    assert len(spans(sandbox, "alerts")) >= len(partitions)
    assert spans(sandbox, "alerts").total() < LONG / PAGE / 2
    account = Account(sandbox).of(["alerts"])
    assert (ids(killed, "alerts") + ids(resumed, "alerts")).keys() == {record["id"] for record in account["alerts"]}
    # A page or two of each partition is emitted again, and the records of the moment between two partitions.
    assert sum(count > 1 for count in ids(resumed, "alerts").values()) <= PAGE * (len(partitions) - 1)
    assert sum((ids(killed, "alerts") & ids(resumed, "alerts")).values()) <= 3 * PAGE * len(partitions)
    assert "resume" not in resumed.states["alerts"]
    assert resumed.states["alerts"]["updated_at"]


@pytest.mark.parametrize("protocol", [SINGER])
def test_restarts_the_list_if_a_page_of_a_partition_has_expired(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=LONG, plain=True, incidents=20)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["alerts"])
    killed = tap.read_until(2100, *tap.read_arguments(selected), drain=False)
    partitions = killed.states["alerts"]["resume"]["parts"]
    expired = next(partition["after"] for partition in partitions if "after" in partition)
    assert sandbox.delete("alerts", [expired]) == 1
    resumed = tap.read(selected, killed.state).ok()
    assert resumed.log_lines("alerts: ", "page", "request_id")
    assert ids(resumed, "alerts").keys() == {record["id"] for record in Account(sandbox).of(["alerts"])["alerts"]}
