"""The table of docs/reliability.md that says how late a change or a delete arrives."""

import pytest

from source_incident.streams import STREAMS
from source_incident.streams.base import stream_name
from tools.docs import staleness

BY_NAME = {stream_name(stream): stream for stream in STREAMS}


def test_every_stream_is_in_one_row() -> None:
    lines = staleness.staleness_table().splitlines()[2:]
    names = [name for line in lines for name in line.split(" | ")[0].strip("| ").split(", ")]
    assert sorted(names) == sorted(f"`{name}`" for name in BY_NAME)


@pytest.mark.parametrize(
    ("name", "seen", "other", "singer", "airbyte"),
    [
        ("severities", "next sync", "next sync", "next sync", "next sync, with Overwrite"),
        ("custom_field_options", "next sync", "next sync", "next sync", "next sync, with Overwrite"),
        ("incidents", "next sync", "next full read", "next full read", "never"),
        ("incident_updates", "next sync", "next full read", "next full read", "never"),
        ("workflow_runs", "next sync", "next full read", "next full read", "never"),
        ("call_transcript_entries", "next sync", "next full read", "next full read", "never"),
        ("alert_notes", "next sync", "next sync; next full read for groups", "next full read", "never"),
        ("schedule_entries", "next sync", "next sync", "never", "next sync, with Overwrite"),
    ],
)
def test_each_kind_of_stream_has_its_bounds(name: str, seen: str, other: str, singer: str, airbyte: str) -> None:
    assert staleness.row(BY_NAME[name])[1:] == (seen, other, singer, airbyte)
