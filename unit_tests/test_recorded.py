"""Catalogs and states that version 0.1.0 wrote still load."""

import json
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import SyncMode

from source_incident.connector import Connector
from source_incident.singer.selection import read_catalog
from source_incident.singer.state import read_state
from source_incident.streams import STREAMS
from source_incident.streams.kinds import ChildStream
from source_incident.sync.state import StreamState

RECORDED = Path(__file__).parent / "recorded"
CONFIG = {"api_key": "recorded-key-4711", "incident_modes": ["standard", "retrospective", "test", "tutorial", "stream"]}
FILES = ("airbyte_states.json", "singer_states.json")


def load(name: str) -> Any:
    return json.loads((RECORDED / name).read_text())


def stream_states(document: Any) -> dict[str, StreamState]:
    """The parsed state of each incremental stream."""
    cursors = Connector().bookmark_keys(CONFIG)
    saved = read_state(document, cursors)
    modes = {}
    for stream in STREAMS:
        root = stream.root() if issubclass(stream, ChildStream) else stream
        modes[stream.__name__] = CONFIG["incident_modes"] if root.mode_parameter else ("",)
    names = {name: cls for cls in STREAMS if (name := _snake(cls.__name__)) in cursors}
    return {
        name: StreamState(name, cursors[name], modes[cls.__name__], saved.streams[name])
        for name, cls in names.items()
        if name in saved.streams
    }


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


@pytest.mark.parametrize("name", FILES)
def test_a_complete_state_keeps_every_bookmark(name: str) -> None:
    document = load(name)["complete"]
    states = stream_states(document)
    assert len(states) == 18
    for state in states.values():
        assert all(position.bookmark and not position.resume for position in state.positions.values())


@pytest.mark.parametrize("name", FILES)
def test_an_interrupted_state_keeps_its_resume_points(name: str) -> None:
    interrupted = load(name)["interrupted"]
    documents = [interrupted] if name.startswith("airbyte") else interrupted
    assert documents
    for document in documents:
        resumed = [
            position.resume
            for state in stream_states(document).values()
            for position in state.positions.values()
            if position.resume
        ]
        assert resumed
        assert json.dumps(document).count('"after"') >= len({resume.partitions for resume in resumed})


@pytest.mark.parametrize("name", ["airbyte_catalog.json", "singer_catalog.json"])
def test_a_catalog_selects_its_streams_and_columns(name: str) -> None:
    document = load(name)
    selection = read_catalog(document, Connector().discover(CONFIG))
    streams = {configured.stream.name: configured for configured in selection.catalog.streams}
    assert len(streams) == len(document["streams"]) == 8
    for entry in document["streams"]:
        stream = entry.get("stream")
        stream_name = stream["name"] if isinstance(stream, dict) else entry["tap_stream_id"]
        schema = stream["json_schema"] if isinstance(stream, dict) else entry["schema"]
        assert streams[stream_name].stream.json_schema["properties"].keys() == schema["properties"].keys()
    assert streams["incidents"].sync_mode == SyncMode.incremental
    assert streams["severities"].sync_mode == SyncMode.full_refresh
