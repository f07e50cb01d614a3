"""Records on their way out, a page's at a time: what would be done for each record is done once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, Type


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one stream, one after the other.

    Attributes:
        emitted_at: when they were handed out, in milliseconds since 1970.
    """

    stream: str
    records: list[dict[str, Any]]
    emitted_at: int

    def messages(self) -> Iterator[AirbyteMessage]:
        """Each record as a message of the Airbyte protocol."""
        for record in self.records:
            yield AirbyteMessage(
                type=Type.RECORD,
                record=AirbyteRecordMessage(stream=self.stream, data=record, emitted_at=self.emitted_at),
            )

    def lines(self) -> bytes:
        """The messages' lines. The CDK's serializer would leave out the fields that are null; here they stay."""
        return json_lines(
            {"type": "RECORD", "record": {"stream": self.stream, "data": RECORD, "emitted_at": self.emitted_at}},
            self.records,
        )


# Stands in an envelope where the record goes.
RECORD = "\0record\0"


def json_lines(envelope: dict[str, Any], records: list[dict[str, Any]]) -> bytes:
    """A line of JSON for each record, with its line break.

    Args:
        envelope: what is around each record, which has `RECORD` in the record's place.
    """
    before, after = orjson.dumps(envelope, option=orjson.OPT_APPEND_NEWLINE).split(orjson.dumps(RECORD))
    dumps = orjson.dumps
    return b"".join([before + dumps(record) + after for record in records])
