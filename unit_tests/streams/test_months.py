"""Calendar months as windows of a request."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.streams.months import PAST_MONTHS, month_bounds, months
from source_incident.streams.status_pages import component_ids


@given(st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))
def test_the_months_follow_each_other_and_end_at_the_last_midnight(now: datetime) -> None:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    bounds = [month_bounds(month, now) for month in months(now)]
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    assert all(start < end <= start + timedelta(days=31) for start, end in bounds)
    assert bounds[-1][1] == midnight
    assert len(bounds) == PAST_MONTHS + (midnight.day > 1)


@pytest.mark.parametrize(
    ("now", "first", "last"),
    [
        ("2026-03-01T12:00:00Z", "2025-03", "2026-02"),
        ("2026-03-02T00:00:00Z", "2025-03", "2026-03"),
        ("2026-01-15T00:00:00Z", "2025-01", "2026-01"),
    ],
)
def test_the_current_month_is_left_out_on_its_first_day(now: str, first: str, last: str) -> None:
    found = months(datetime.fromisoformat(now))
    assert (found[0], found[-1]) == (first, last)


def test_the_components_of_a_page_are_found_in_items_groups_and_sub_pages() -> None:
    group = {"id": "g", "components": [{"component_id": "c2"}, {"component_id": "c3", "name": "API"}]}
    sub_page = {"id": "s", "items": [{"component": {"component_id": "c4"}}, {"group": {"components": []}}]}
    items = [{"component": {"component_id": "c1"}}, {"group": group}, {"sub_page": sub_page}, {"new": None}]
    assert list(component_ids({"items": items})) == ["c1", "c2", "c3", "c4"]
    assert list(component_ids(None)) == []
