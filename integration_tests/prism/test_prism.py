"""Every request is as the vendor's document wants it, and every answer as it promises passes our schemas."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import requests

from integration_tests.prism.mock_server import Front, NotInstalledError, install, prism, servable
from integration_tests.support.tap import AIRBYTE, ROOT, Catalog, Tap
from tools.document import DocumentError, fetch

KEY = "prism-key-4711"
AGAIN = "the API gives the same page again (after="

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


def test_prism_refuses_what_the_document_does_not_allow(prism_url: str) -> None:
    """Else the tests below could not fail."""
    with Front(prism_url, one_page=True) as front:
        for query, headers, status in (
            ("page_size=10001", {"Authorization": f"Bearer {KEY}"}, 422),
            ("page_size=10000", {}, 401),
        ):
            answer = requests.get(f"{front.url}/v2/schedules?{query}", headers=headers, timeout=60)
            assert answer.status_code == status
            assert front.answers[-1] == (f"/v2/schedules?{query}", status)


def test_every_stream_reads_and_passes_its_schema(
    prism_url: str, catalog: Catalog, protocol: str, tmp_path: Path
) -> None:
    with Front(prism_url, one_page=True) as front:
        tap = Tap(protocol, {"api_key": KEY, "endpoint": front.url}, tmp_path)
        run = tap.read(catalog.of(protocol, catalog.airbyte))
    assert [answer for answer in front.answers if answer[1] != 200] == []
    run.ok()
    assert set(run.records) == set(catalog.airbyte)
    for name, records in run.records.items():
        validator = jsonschema.Draft7Validator(catalog.airbyte[name]["json_schema"])
        for record in records:
            assert [error.message for error in validator.iter_errors(record)] == [], name
            assert all(record.get(column) not in (None, "") for column in catalog.keys[name]), name


def test_a_list_that_gives_the_same_page_again_ends_with_an_error(
    prism_url: str, catalog: Catalog, protocol: str, tmp_path: Path
) -> None:
    with Front(prism_url, one_page=False) as front:
        tap = Tap(protocol, {"api_key": KEY, "endpoint": front.url}, tmp_path)
        run = tap.read(catalog.of(protocol, catalog.airbyte))
    assert [answer for answer in front.answers if answer[1] != 200] == []
    paged = [path for path, _ in front.answers if "after=" in path]
    assert paged
    assert len(paged) == len(set(paged)), "no page is asked for twice"
    assert run.code == 1
    assert run.records["incident_statuses"], "a list that is not paged is read as ever"
    if protocol == AIRBYTE:
        failed = {
            trace["error"]["stream_descriptor"]["name"]: trace["error"]["message"]
            for trace in run.traces("ERROR")
            if trace["error"].get("stream_descriptor")
        }
        assert len(failed) > 40
        assert all(AGAIN in message for message in failed.values())
        for name in catalog.airbyte:
            assert run.statuses(name)[-1] == ("INCOMPLETE" if name in failed else "COMPLETE")
    else:
        errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR ")]
        assert len([line for line in errors if AGAIN in line]) > 40
        assert all(AGAIN in line or "could not be read" in line for line in errors), errors[-3:]
