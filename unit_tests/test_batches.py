"""Batches of records as lines of the Airbyte protocol."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from source_incident.batches import RecordBatch
from unit_tests.singer.strategies import json_values, names

EMITTED_AT = 1_767_225_600_123


@given(st.lists(st.dictionaries(names, json_values)))
def test_a_batch_is_one_airbyte_line_per_record(records: list[dict[str, Any]]) -> None:
    lines = RecordBatch("incidents", records, EMITTED_AT).lines().split(b"\n")[:-1]
    assert [json.loads(line) for line in lines] == [
        {"type": "RECORD", "record": {"stream": "incidents", "data": record, "emitted_at": EMITTED_AT}}
        for record in records
    ]
