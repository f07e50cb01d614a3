"""All streams in one sync: the emitted records and the requests."""

from __future__ import annotations

from collections import Counter

from integration_tests.support.account import WINDOW_STREAM, Account, declarations
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import assert_same_records
from integration_tests.support.tap import MakeTap
from sandbox import Sandbox


def test_reads_every_stream_without_a_repeated_request(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    assert catalog.airbyte.keys() == catalog.singer.keys() == declarations().keys()
    shared_sandbox.reset()
    run = tap_of(shared_sandbox).read(catalog.of(protocol, catalog.airbyte)).ok()
    log = shared_sandbox.requests()["log"]
    assert set(run.records) == set(catalog.airbyte)
    account = Account(shared_sandbox)
    for name in declarations().keys() - {WINDOW_STREAM}:
        assert_same_records(run.records[name], account.expected(name), catalog.keys[name], name)
    assert [entry for entry in log if entry["status"] != 200 or "unknown" in entry] == []
    requests = Counter((entry["path"], entry["query"]) for entry in log)
    assert [request for request, count in requests.items() if count > 1] == []
