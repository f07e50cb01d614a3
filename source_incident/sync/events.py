"""What a sync emits, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from source_incident.api import PageMemory
from source_incident.streams.page import Record


@dataclass(frozen=True)
class Started:
    """The stream is being read."""

    stream: str


@dataclass(frozen=True)
class Expected:
    """The API reports that this many more records of the stream follow."""

    stream: str
    records: int


@dataclass(frozen=True)
class Records:
    """Records of one page.

    Attributes:
        version: the version of the stream's full read; None: the stream was never read in full.
        memory: counts the memory of the records until they are written.
    """

    stream: str
    records: list[Record]
    version: int | None = None
    memory: Sequence[PageMemory] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Checkpoint:
    """The stream's state, which covers the records emitted before it."""

    stream: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Finished:
    """The stream was read completely.

    Attributes:
        state: the stream's last state; None: its last Checkpoint has it.
        version: the version of a full read without a gap, which replaces all older rows; None: older rows stay.
    """

    stream: str
    state: Mapping[str, Any] | None = None
    version: int | None = None


@dataclass(frozen=True)
class Failed:
    """The stream was not read completely."""

    stream: str
    error: Exception


@dataclass(frozen=True)
class LeftOut:
    """A stream that the user did not select and the key may not read."""

    stream: str
    reason: str


Event = Started | Expected | Records | Checkpoint | Finished | Failed | LeftOut


class Interrupted(Exception):
    """The sync was cancelled. Everything emitted so far is valid."""
