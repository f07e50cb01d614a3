"""Helpers for tests of a sync: a selected stream, and the order that its events must have."""

from collections.abc import Iterable
from typing import Any

from source_incident.api import Client
from source_incident.config import Config
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream
from source_incident.sync.events import Checkpoint, Event, Expected, Failed, Finished, LeftOut, Records, Started
from source_incident.sync.plan import SelectedStream
from source_incident.sync.state import StreamState


def make_client(endpoint: str = "http://127.0.0.1:1", **settings: Any) -> tuple[Client, Config]:
    """A client without retries, and its config."""
    config = Config.parse({"api_key": "k" * 20, "endpoint": endpoint, "max_retries": 0, **settings})
    return Client(endpoint=config.endpoint, api_key=config.api_key, user_agent="test", max_retries=0), config


def make_streams(client: Client, config: Config) -> dict[str, IncidentStream]:
    """Every stream, by name."""
    streams = [kind(client, config) for kind in STREAMS]
    return {stream.name: stream for stream in streams}


def select(stream: IncidentStream, *, incremental: bool = False, optional: bool = False) -> SelectedStream:
    """A selected stream before its first sync."""
    modes = stream.config.incident_modes if stream.mode_parameter else ("",)
    state = StreamState(stream.name, stream.bookmark_key if incremental else None, modes, None)
    return SelectedStream(stream, state, optional=optional)


def check_order(events: Iterable[Event]) -> None:
    """Check each stream's order: Started, then Records, Expected and Checkpoints, then one of Finished and Failed.

    A stream that is left out has LeftOut alone.
    """
    by_stream: dict[str, list[Event]] = {}
    for event in events:
        by_stream.setdefault(event.stream, []).append(event)
    for name, found in by_stream.items():
        if isinstance(found[0], LeftOut):
            assert len(found) == 1, f"{name}: an event follows LeftOut: {found}"
            continue
        first, *middle, last = found
        assert isinstance(first, Started), f"{name}: the first event is {first}"
        assert isinstance(last, Finished | Failed), f"{name}: the last event is {last}"
        for event in middle:
            assert isinstance(event, Records | Expected | Checkpoint), f"{name}: {event} in the middle"
