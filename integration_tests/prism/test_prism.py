"""Requests conform to the vendor's document, and its examples conform to the streams' schemas."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import requests

from integration_tests.prism.mock_server import NotInstalledError, Proxy, install, prism, servable
from integration_tests.support.catalog import Catalog
from integration_tests.support.tap import AIRBYTE, ROOT, Tap
from tools.openapi import DocumentError, fetch

KEY = "prism-key-4711"
REPEATED_PAGE = "the API returns the same page again (after="

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def prism_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        program = install(ROOT / ".cache")
        document = servable(fetch())
    except (NotInstalledError, DocumentError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("prism")
    (folder / "openapi.json").write_text(json.dumps(document))
    with prism(program, folder / "openapi.json", folder / "log") as url:
        yield url


def streams(catalog: Catalog) -> set[str]:
    """All streams but that of a CSV file, for which Prism has no example."""
    return set(catalog.airbyte) - {"pay_report_lines"}


def test_prism_rejects_requests_that_the_document_does_not_allow(prism_url: str) -> None:
    with Proxy(prism_url, one_page=True) as proxy:
        for query, headers, status in (
            ("page_size=10001", {"Authorization": f"Bearer {KEY}"}, 422),
            ("page_size=10000", {}, 401),
        ):
            response = requests.get(f"{proxy.url}/v2/schedules?{query}", headers=headers, timeout=60)
            assert response.status_code == status
            assert proxy.responses[-1] == (f"/v2/schedules?{query}", status)


def test_the_records_of_every_stream_conform_to_its_schema(
    prism_url: str, catalog: Catalog, protocol: str, tmp_path: Path
) -> None:
    with Proxy(prism_url, one_page=True) as proxy:
        tap = Tap(protocol, {"api_key": KEY, "endpoint": proxy.url}, tmp_path)
        run = tap.read(catalog.of(protocol, streams(catalog)))
    assert [response for response in proxy.responses if response[1] != 200] == []
    run.ok()
    # The shifts of the document's example are before the window.
    assert set(run.records) == streams(catalog) - {"schedule_entries"}
    for name, records in run.records.items():
        validator = jsonschema.Draft7Validator(catalog.airbyte[name]["json_schema"])
        for record in records:
            assert [error.message for error in validator.iter_errors(record)] == [], name
            assert all(record.get(column) not in (None, "") for column in catalog.keys[name]), name


def test_a_repeated_page_fails_the_stream(prism_url: str, catalog: Catalog, protocol: str, tmp_path: Path) -> None:
    with Proxy(prism_url, one_page=False) as proxy:
        tap = Tap(protocol, {"api_key": KEY, "endpoint": proxy.url}, tmp_path)
        run = tap.read(catalog.of(protocol, streams(catalog)))
    assert [response for response in proxy.responses if response[1] != 200] == []
    paged = [path for path, _ in proxy.responses if "after=" in path]
    assert paged
    assert len(paged) == len(set(paged)), "no page is requested twice"
    assert run.code == 1
    assert run.records["incident_statuses"], "a list without pages is read normally"
    if protocol == AIRBYTE:
        failed = {
            trace["error"]["stream_descriptor"]["name"]: trace["error"]["message"]
            for trace in run.traces("ERROR")
            if trace["error"].get("stream_descriptor")
        }
        assert len(failed) > 40
        assert all(REPEATED_PAGE in message for message in failed.values())
        for name in streams(catalog):
            assert run.statuses(name)[-1] == ("INCOMPLETE" if name in failed else "COMPLETE")
    else:
        errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR ")]
        assert len([line for line in errors if REPEATED_PAGE in line]) > 40
        assert all(REPEATED_PAGE in line or "could not be read" in line for line in errors), errors[-3:]
