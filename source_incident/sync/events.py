"""What a sync tells, in the order in which it happened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from source_incident.streams.base import Record


@dataclass(frozen=True)
class Started:
    stream: str


@dataclass(frozen=True)
class Expected:
    """The API says that so many more records of the stream are about to be read."""

    stream: str
    records: int


@dataclass(frozen=True)
class Records:
    stream: str
    records: list[Record]


@dataclass(frozen=True)
class Checkpoint:
    """The stream's state, true of the records that were handed out before it."""

    stream: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Finished:
    stream: str


@dataclass(frozen=True)
class Failed:
    stream: str
    error: Exception


@dataclass(frozen=True)
class LeftOut:
    """A stream that nobody chose and the key may not read."""

    stream: str
    reason: str


Event = Started | Expected | Records | Checkpoint | Finished | Failed | LeftOut


class Interrupted(Exception):
    """The sync was asked to stop; what was handed out stays true."""
