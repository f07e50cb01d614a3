"""What a read yields, as lines of the Airbyte protocol. What all records of a page share is done once per page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from airbyte_protocol_dataclasses.models import AirbyteRecordMessage, AirbyteTraceMessage

# Marks where the record goes in an envelope.
RECORD_PLACEHOLDER = "\0record\0"
# Records that are serialized together.
PART = 1000


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of one stream.

    Attributes:
        emitted_at: when the records were emitted, in milliseconds since 1970.
        version: the version of the stream's full read, for Singer; None: it has none.
    """

    stream: str
    records: list[dict[str, Any]]
    emitted_at: int
    version: int | None = None

    def messages(self) -> Iterator[AirbyteRecordMessage]:
        """Yield an Airbyte message per record."""
        for record in self.records:
            yield AirbyteRecordMessage(stream=self.stream, data=record, emitted_at=self.emitted_at)

    def lines(self) -> bytes:
        """Return an Airbyte RECORD line per record. Null fields are kept."""
        return json_lines(
            {
                "type": "RECORD",
                "record": {"stream": self.stream, "data": RECORD_PLACEHOLDER, "emitted_at": self.emitted_at},
            },
            self.records,
        )


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """The state of a stream, which covers the records before it.

    Attributes:
        records: how many records of the stream came since its last state.
    """

    stream: str
    state: Mapping[str, Any]
    records: int

    def line(self) -> bytes:
        """Return an Airbyte STATE line."""
        stream = {"stream_descriptor": {"name": self.stream}, "stream_state": self.state}
        state = {"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": float(self.records)}}
        return orjson.dumps({"type": "STATE", "state": state}, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True, slots=True)
class CompleteVersion:
    """A full read without a gap has ended. Rows of older versions do not exist any more.

    Airbyte has no message for it: its destinations overwrite the table of a full refresh.
    """

    stream: str
    version: int


Message = AirbyteTraceMessage | RecordBatch | StateUpdate | CompleteVersion


def json_lines(envelope: dict[str, Any], records: list[dict[str, Any]]) -> bytes:
    """Return a line of JSON per record, each with its line break.

    Args:
        envelope: the object around each record, with `RECORD_PLACEHOLDER` in place of the record.
    """
    before, after = orjson.dumps(envelope, option=orjson.OPT_APPEND_NEWLINE).split(orjson.dumps(RECORD_PLACEHOLDER))
    dumps = orjson.dumps
    return b"".join(
        [
            # In parts: a page of tiny records would take much more memory as a list of lines.
            b"".join([before + dumps(record) + after for record in records[start : start + PART]])
            for start in range(0, len(records), PART)
        ]
    )
