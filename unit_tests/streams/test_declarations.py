"""The declarations of the streams: what the CDK sees of them, and the table of streams."""

import csv
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import SyncMode
from airbyte_cdk.sources.streams.http import HttpStream
from airbyte_cdk.sources.utils.casing import camel_to_snake

from source_incident.cdk_streams import CdkStream
from source_incident.streams import STREAMS
from source_incident.streams.kinds import ChildStream, IncrementalStream
from unit_tests.streams.fakes import make
from unit_tests.streams.test_schemas import BY_NAME, every_stream

TSV = Path(__file__).resolve().parents[3] / "shared" / "reference" / "streams.tsv"


@every_stream
def test_a_stream_describes_itself_as_the_cdk_describes_it(stream: Any) -> None:
    made = make(stream)
    cdk_stream = CdkStream(made)
    assert HttpStream.as_airbyte_stream(cdk_stream) == made.as_airbyte_stream()
    assert cdk_stream.name == camel_to_snake(stream.__name__)
    described = made.as_airbyte_stream()
    assert described.name == made.name
    assert described.source_defined_primary_key == [[field] for field in stream.primary_key]
    assert made.endpoint.startswith("/v")
    modes = described.supported_sync_modes
    assert (SyncMode.incremental in modes) == (made.bookmark_key is not None)
    root = stream.root() if issubclass(stream, ChildStream) else stream
    # A full refresh continues at a page of the list at the root of the tree.
    assert described.is_resumable == (made.bookmark_key is not None or root.page_size is not None)


@every_stream
def test_a_stream_has_a_description(stream: Any) -> None:
    assert stream.__doc__
    assert stream.__doc__.split("\n\n")[0].strip().endswith(".")


def test_nested_columns_name_streams() -> None:
    for stream in STREAMS:
        assert set(stream.nested.values()) <= BY_NAME.keys()


@pytest.mark.skipif(not TSV.exists(), reason="the table of streams is not here")
def test_the_streams_are_those_of_the_reference_table() -> None:
    with TSV.open(encoding="utf-8") as file:
        rows = {row["stream"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert rows.keys() <= BY_NAME.keys()
    for name, row in rows.items():
        stream: Any = BY_NAME[name]
        assert stream.primary_key == row["key"].split(", "), name
        assert str(stream.page_size or "-") == row["page"], name
        assert ("yes" if stream.selected_by_default else "no") == row["default"], name
        renamed = ("{id}", "{incident_id}")
        path = row["path"]
        if not any(key in path for key in renamed):
            assert stream.endpoint == path, name
        assert path.split("{")[0] == stream.endpoint.split("{")[0], name
        assert path.count("{") == stream.endpoint.count("{"), name
        parent = row["parent"].split(":")[0].split(" with ")[0]
        assert ("" if not issubclass(stream, ChildStream) else make(stream.parent).name) == parent, name
        replication = row["replication"]
        if replication == "full table":
            assert make(stream).bookmark_key is None, name
        elif replication == "by parent":
            assert stream.uses_root_cursor, name
        else:
            assert make(stream).bookmark_key == replication.split(",")[0], name
            assert issubclass(stream, IncrementalStream) == ("gte" in replication), name
            assert getattr(stream, "filter_by_date", False) == ("by date" in replication), name
        records, _, lists = row["records at"].partition(".")
        if records != "(the body)":
            assert stream.records_key == records, name
        assert ",".join(stream.record_lists) == lists.strip("{}"), name
