"""Cursors of records and their form in the state; fields that are removed."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.streams.page import cursor_of, is_url, remove_field
from source_incident.timestamps import format_timestamp


@pytest.mark.parametrize("value", [None, "", "soon", 5, ["2026-01-01"], "0001-01-01T00:00:00+14:00", True])
def test_a_cursor_that_is_not_a_timestamp_is_none(value: Any) -> None:
    assert cursor_of({"updated_at": value}, "updated_at") is None
    assert cursor_of({}, "updated_at") is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))
def test_a_formatted_moment_is_in_utc_and_never_later_than_the_moment(moment: datetime) -> None:
    text = format_timestamp(moment)
    assert text.endswith("Z")
    read = cursor_of({"at": text}, "at")
    assert read is not None
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("value", "is_removed"),
    [
        ("https://hooks.example/T1/secret", True),
        (" HTTP://hooks.example", True),
        ("see https://runbooks.example", False),
        ("", False),
        (None, False),
        (7, False),
        (["https://hooks.example"], False),
    ],
)
def test_a_field_is_removed_where_its_value_is_a_url(value: Any, is_removed: bool) -> None:
    record = {"steps": [{"bindings": [{"value": {"literal": value}}]}, {"bindings": None}, {}]}
    remove_field(record, ["steps", "bindings", "value", "literal"], is_url)
    assert record["steps"][0] == {"bindings": [{"value": {} if is_removed else {"literal": value}}]}
