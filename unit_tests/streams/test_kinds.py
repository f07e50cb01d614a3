"""The kinds of stream: cursor filters, lookback, children."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from source_incident.config import Config
from source_incident.streams import STREAMS
from source_incident.streams.alerts import Alerts
from source_incident.streams.incidents import (
    Actions,
    CallTranscriptEntries,
    CustomFieldOptions,
    Incidents,
    PostmortemDocumentContents,
)
from source_incident.streams.kinds import ChildStream, CursorStream, IncrementalStream, parent_ids
from source_incident.streams.on_call import Escalations
from unit_tests.streams.fakes import CONFIG, make, params

# Cursors


@pytest.mark.parametrize(
    ("kind", "moment", "expected"),
    [
        (Actions, datetime(2026, 1, 2, 3, 4, 5, 678_900, UTC), "2026-01-02T03:04:05.678Z"),
        (Actions, datetime(2026, 1, 2, 3, tzinfo=UTC).astimezone(), "2026-01-02T03:00:00.000Z"),
        (Incidents, datetime(2026, 1, 2, 13, tzinfo=UTC), "2026-01-02"),
        (Incidents, datetime(2026, 1, 2, 11, tzinfo=UTC), "2026-01-01"),
        (Escalations, datetime(2026, 1, 1, tzinfo=UTC), "2025-12-31"),
    ],
)
def test_a_filter_is_a_timestamp_or_a_date_that_is_not_too_late(kind: Any, moment: datetime, expected: str) -> None:
    stream = make(kind)
    assert isinstance(stream, IncrementalStream)
    assert stream.since_filter(moment) == expected
    assert params(kind, {"since": expected, "modes": ("standard",)})["updated_at[gte]"] == expected


def test_there_is_no_filter_without_a_bookmark() -> None:
    assert not [name for name in params(Alerts, {}) if "updated_at" in name]


START, END = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "span", "expected"),
    [
        (Alerts, (START, None), {"created_at[gte]": "2026-01-02T00:00:00.000Z"}),
        (Alerts, (None, END), {"created_at[lte]": "2026-02-01T00:00:00.000Z"}),
        (Alerts, (START, END), {"created_at[date_range]": "2026-01-02T00:00:00.000Z~2026-02-01T00:00:00.000Z"}),
        (Escalations, (START, None), {"created_at[gte]": "2026-01-02"}),
        (Escalations, (None, END), {"created_at[lte]": "2026-01-31"}),
        (Escalations, (START, END), {"created_at[date_range]": "2026-01-02~2026-01-31"}),
    ],
)
def test_the_filter_of_a_partition_has_its_span(
    kind: Any, span: tuple[datetime | None, datetime | None], expected: dict[str, str]
) -> None:
    found = params(kind, {"span": span})
    assert {name: value for name, value in found.items() if name.startswith("created_at")} == expected


def test_the_lookback_is_the_longer_one_of_the_config_and_the_stream() -> None:
    config = Config.parse({"api_key": CONFIG.api_key, "lookback_window": 7})
    for kind in STREAMS:
        if issubclass(kind, CursorStream):
            found = make(kind, config=config)
            assert isinstance(found, CursorStream)
            assert found.lookback == max(timedelta(minutes=7), kind.minimum_lookback)


# Children


def test_a_parents_id_is_in_the_query_unless_the_path_has_a_placeholder_for_it() -> None:
    assert params(CustomFieldOptions, {"custom_field_id": "01F"})["custom_field_id"] == "01F"
    assert "postmortem_document_id" not in params(PostmortemDocumentContents, {"postmortem_document_id": "01P"})


def test_the_slice_of_a_child_has_the_ids_of_its_parents_only() -> None:
    parent_slice = {"incident_id": "01I", "modes": ("standard",), "since": "2026-01-01", "filters": {"a": 1}}
    child = make(CallTranscriptEntries)
    assert isinstance(child, ChildStream)
    assert child.child_slice({"id": "01C"}, parent_slice) == {"incident_id": "01I", "call_session_id": "01C"}
    assert child.child_slice({"id": ""}, parent_slice) is None
    assert child.child_slice({}, parent_slice) is None
    assert child.bookmark_key == "incident_updated_at"
    assert parent_ids({**parent_slice, "span": (None, None)}) == {"incident_id": "01I"}
