"""The state of a stream: a dumped state loads as it was, and a bookmark never moves back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.errors import InputError
from source_incident.sync.state import FullRead, Partition, ResumePoint, Retry, StreamPosition, StreamState
from source_incident.timestamps import EARLIEST
from unit_tests.singer.strategies import json_values

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
RESUME = {"after": "01H", "since": "2025-12-31", "began": "2026-01-02T00:00:00.000Z"}
MODES = ("standard", "retrospective", "test", "tutorial", "stream")

moments = st.datetimes(datetime(2020, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
pages = st.text(min_size=1, max_size=9)
parts = st.tuples(st.builds(Partition, pages)) | st.lists(
    st.builds(Partition, st.none() | pages, st.none() | moments, st.none() | moments), min_size=2, max_size=4
).map(tuple)
resumes = st.builds(ResumePoint, parts, st.none() | st.text(max_size=9), moments)
positions = st.builds(StreamPosition, st.none() | moments, st.none() | resumes)


full_reads = st.builds(
    FullRead,
    st.integers(1, 2**53),
    moments,
    st.none() | moments,
    st.none() | st.frozensets(st.sampled_from(MODES)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
retries = st.builds(Retry, st.none() | moments, st.none() | st.frozensets(st.text(min_size=1, max_size=9), max_size=50))


def load(state: Any = None, modes: tuple[str, ...] = ("",), cursor: str = "updated_at") -> StreamState:
    return StreamState("incidents", cursor, modes, state)


def reload(stream_state: StreamState, modes: tuple[str, ...]) -> StreamState:
    """The state of the next run, loaded from a dumped state."""
    return load(json.loads(json.dumps(stream_state.dump())), modes)


# Dump and load


@given(positions)
def test_a_dumped_position_loads_as_it_was(position: StreamPosition) -> None:
    before = load()
    before.positions[""] = position
    assert reload(before, ("",)).positions == {"": position}


@given(
    st.dictionaries(st.sampled_from(MODES), positions, min_size=1), st.dictionaries(st.text(max_size=5), st.integers(1))
)
def test_dumped_positions_of_modes_load_as_they_were(by_mode: dict[str, StreamPosition], pages: dict[str, int]) -> None:
    modes = tuple(by_mode)
    before = load(modes=modes)
    before.positions.update(by_mode)
    before.nested_pages.update(pages)
    after = reload(before, modes)
    assert after.positions == by_mode
    assert after.nested_pages == pages
    assert after.dump() == before.dump()


@given(
    st.dictionaries(st.sampled_from(MODES), positions, min_size=2),
    st.lists(st.sets(st.sampled_from(MODES), min_size=1), max_size=4),
)
def test_modes_that_the_config_does_not_have_keep_their_positions(
    by_mode: dict[str, StreamPosition], configs: list[set[str]]
) -> None:
    before = load(modes=tuple(by_mode))
    before.positions.update(by_mode)
    current = before
    for modes in configs:
        current = reload(current, tuple(sorted(modes)))
        assert current.positions == {mode: by_mode.get(mode, StreamPosition()) for mode in modes}
    assert reload(current, tuple(by_mode)).positions == by_mode


@given(
    st.dictionaries(st.sampled_from(MODES), positions, min_size=1) | positions.map(lambda position: {"": position}),
    st.none() | full_reads,
    st.none() | retries,
    st.frozensets(st.sampled_from(["attachments", "updates", "actions"])),
    st.booleans(),
    st.booleans(),
)
def test_any_state_loads_as_it_was_dumped(
    by_mode: dict[str, StreamPosition],
    full_read: FullRead | None,
    retry: Retry | None,
    columns: frozenset[str],
    needs_full_read: bool,
    incremental: bool,
) -> None:
    reads_in_full = full_read is not None and full_read.done is not None

    def possible(position: StreamPosition) -> StreamPosition:
        """A position that the engine can have: a full refresh has no bookmark, its scans are full."""
        bookmark = position.bookmark if incremental else None
        if position.resume is None or (not incremental and not reads_in_full):
            return StreamPosition(bookmark)
        is_full = reads_in_full and (not incremental or position.resume.is_full)
        return StreamPosition(bookmark, replace(position.resume, is_full=is_full or not incremental))

    cursor = "updated_at" if incremental else None
    before = StreamState("incidents", cursor, tuple(by_mode), None)
    before.positions.update({mode: possible(position) for mode, position in by_mode.items()})
    before.full_read, before.new_retry = full_read, retry
    before.forbidden_columns, before.needs_full_read = columns, needs_full_read
    dumped = json.loads(json.dumps(before.dump()))
    if not dumped.keys() & {"updated_at", "modes", "resume", "full_read", "retry", "needs_full_read"}:
        return  # a sync that read nothing
    after = StreamState("incidents", cursor, tuple(by_mode), dumped)
    assert after.positions == before.positions
    assert after.full_read == full_read
    assert after.retry == retry
    assert after.forbidden_columns == columns
    assert after.needs_full_read == needs_full_read
    assert after.dump() == dumped


@pytest.mark.parametrize(
    ("modes", "recorded"),
    [
        # Written by earlier versions, before full reads were kept.
        (("",), {"updated_at": "2026-01-01T00:00:00.000Z"}),
        (("",), {"updated_at": "2026-01-01T00:00:00.000Z", "resume": RESUME}),
        (("",), {"resume": {"after": "01H", "since": None, "began": "2026-01-02T00:00:00.000Z"}}),
        (
            ("",),
            {
                "resume": {
                    "parts": [
                        {"after": "01H", "from": "2025-06-01T00:00:00.000Z"},
                        {"to": "2025-06-01T00:00:00.000Z"},
                    ],
                    "since": None,
                    "began": "2026-01-02T00:00:00.000Z",
                }
            },
        ),
        (
            ("standard", "retrospective"),
            {
                "updated_at": "2026-01-01T00:00:00.000Z",
                "modes": {"standard,retrospective": {"updated_at": "2026-01-01T00:00:00.000Z"}},
                "nested_pages": {"updates": 12, "actions": 3},
            },
        ),
    ],
)
def test_a_state_of_an_earlier_version_loads_and_is_written_as_it_was(
    modes: tuple[str, ...], recorded: dict[str, Any]
) -> None:
    assert load(recorded, modes).dump() == recorded
    assert load(recorded, modes).full_read is None


def test_the_state_of_a_sync_that_read_nothing_can_be_loaded() -> None:
    assert load().dump() == {}
    assert reload(load(), ("",)).positions == {"": StreamPosition()}
    assert reload(load(modes=("standard", "test")), ("standard",)).positions == {"standard": StreamPosition()}


# The form of the state


def test_a_state_has_the_documented_form() -> None:
    state = load({"updated_at": "2026-01-01T00:00:00Z", "resume": RESUME}).dump()
    assert state == {"updated_at": "2026-01-01T00:00:00.000Z", "resume": RESUME}


def test_modes_with_the_same_position_share_it_and_the_bookmark_is_the_earliest() -> None:
    found = load(modes=("standard", "retrospective", "test"))
    found.positions.update(
        standard=StreamPosition(LATE), retrospective=StreamPosition(LATE), test=StreamPosition(EARLY)
    )
    assert found.dump() == {
        "updated_at": "2026-01-01T00:00:00.000Z",
        "modes": {
            "standard,retrospective": {"updated_at": "2026-02-01T00:00:00.000Z"},
            "test": {"updated_at": "2026-01-01T00:00:00.000Z"},
        },
    }


def test_there_is_no_bookmark_for_all_modes_where_one_has_none() -> None:
    found = load(modes=("standard", "test"))
    found.positions["standard"] = StreamPosition(LATE)
    assert "updated_at" not in found.dump()


# Modes that are added or removed


def test_a_mode_added_to_the_config_is_read_from_the_start() -> None:
    state = load(modes=("standard", "retrospective"))
    state.positions.update(standard=StreamPosition(LATE), retrospective=StreamPosition(LATE))
    assert reload(state, ("standard", "retrospective", "test")).positions == {
        "standard": StreamPosition(LATE),
        "retrospective": StreamPosition(LATE),
        "test": StreamPosition(),
    }


def test_the_bookmark_of_another_tap_is_for_the_modes_that_the_api_returns_without_a_filter() -> None:
    found = load({"updated_at": "2026-01-01"}, ("standard", "retrospective", "test"))
    assert found.positions == {
        "standard": StreamPosition(EARLY),
        "retrospective": StreamPosition(EARLY),
        "test": StreamPosition(),
    }


def test_the_bookmark_of_another_tap_is_kept_for_modes_that_are_configured_later() -> None:
    found = load({"updated_at": "2026-01-01"}, ("standard",))
    assert reload(found, ("standard", "retrospective")).positions["retrospective"] == StreamPosition(EARLY)


# Bookmarks


@given(positions, st.lists(st.tuples(st.sampled_from(["reached", "finished", "restarted"]), moments), max_size=8))
def test_a_bookmark_never_moves_back(position: StreamPosition, events: list[tuple[str, datetime]]) -> None:
    for event, started_at in events:
        before = position.bookmark
        match event:
            case "reached":
                position = position.reached((Partition("01H"),), None, started_at)
                assert position.bookmark == before, "an unfinished scan does not move the bookmark"
                assert position.resume == ResumePoint((Partition("01H"),), None, started_at)
            case "finished":
                position = position.finished(started_at)
                assert position.bookmark is not None
                assert position.bookmark >= started_at
                assert position.resume is None
            case _:
                position = position.restarted()
                assert position == StreamPosition(before)
        assert before is None or (position.bookmark is not None and position.bookmark >= before)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC)))
def test_a_dumped_bookmark_is_never_later_than_it_was(bookmark: datetime) -> None:
    found = load()
    found.positions[""] = StreamPosition(bookmark)
    read = reload(found, ("",)).positions[""].bookmark
    assert read is not None
    assert timedelta(0) <= bookmark - read < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T00:00:00Z", EARLY),
        ("2026-01-01", EARLY),
        ("2026-01-01T00:00:00", EARLY),
        (" 2026-01-01T01:00:00+01:00 ", EARLY),
        ("2026-01-01T00:00:00.000000Z", EARLY),
    ],
)
def test_accepts_a_bookmark_in_several_formats(text: str, moment: datetime) -> None:
    assert load({"updated_at": text}).positions == {"": StreamPosition(moment)}


# States that hold nothing, and invalid states


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "1970-01-01", "2019-12-31T23:59:59.999Z"])
def test_a_moment_before_the_earliest_one_means_everything(text: str) -> None:
    resume = {"parts": [{"after": "01H", "to": text}], "since": None, "began": text}
    position = load({"updated_at": text, "resume": resume}).positions[""]
    assert position == StreamPosition(EARLIEST, ResumePoint((Partition("01H", None, EARLIEST),), None, EARLIEST))


@pytest.mark.parametrize(
    "state", [None, {}, {"__ab_no_cursor_state_message": True}, {"__ab_full_refresh_sync_complete": True}]
)
@pytest.mark.parametrize("modes", [("",), ("standard",)])
def test_a_state_without_a_position_is_a_first_sync(state: Any, modes: tuple[str, ...]) -> None:
    assert load(state, modes).positions == {mode: StreamPosition() for mode in modes}


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"created_at": "2026-01-01"}, "none of updated_at, modes, resume"),
        ({"updated_at": "yesterday"}, "updated_at is 'yesterday'"),
        ({"updated_at": 5}, "updated_at is 5"),
        ({"updated_at": "2999-01-01T00:00:00Z"}, "in the future"),
        ({"updated_at": ["2026-01-01"]}, "updated_at is"),
        ({"updated_at": ""}, "updated_at is ''"),
        ({"updated_at": "0001-01-01T00:00:00+14:00"}, "updated_at is"),
        ({"updated_at": "2026-01-01", "resume": "01H"}, "resume of it"),
        ({"updated_at": "2026-01-01", "resume": {}}, "(after)"),
        ({"resume": {**RESUME, "after": ""}}, "(after)"),
        ({"resume": {**RESUME, "after": 5}}, "(after)"),
        ({"resume": {**RESUME, "parts": {}}}, "resume.parts"),
        ({"resume": {**RESUME, "parts": []}}, "resume.parts"),
        ({"resume": {**RESUME, "parts": ["01H"]}}, "resume.parts"),
        ({"resume": {**RESUME, "parts": [{"after": 5}]}}, "resume.parts"),
        ({"resume": {**RESUME, "parts": [{"from": "soon"}]}}, "resume.parts.from"),
        ({"resume": {**RESUME, "since": 5}}, "resume.since"),
        ({"resume": {**RESUME, "began": None}}, "resume.began"),
        ({"resume": {"after": "01H"}}, "resume.began"),
    ],
)
def test_an_invalid_state_is_an_error_that_names_the_problem(state: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        load(state)
    assert problem in str(caught.value)
    assert str(caught.value).startswith("state: the state of the stream 'incidents' is not valid: ")
    assert str(caught.value).endswith(". Remove it from the state to read the stream from the start")
    with pytest.raises(InputError) as caught:
        load({"modes": {"standard": state}} if "created_at" not in state else state, ("standard",))
    assert problem.replace("of it", "of modes.standard") in str(caught.value)


@pytest.mark.parametrize("modes", [[], "standard", 5, {"standard": "2026-01-01"}, {"standard": None}])
def test_invalid_modes_are_an_error(modes: Any) -> None:
    with pytest.raises(InputError, match="modes"):
        load({"modes": modes}, ("standard",))


@given(
    st.dictionaries(
        st.sampled_from(["updated_at", "resume", "modes", "nested_pages"]) | st.text(max_size=5),
        json_values
        | st.dictionaries(
            st.sampled_from(["after", "since", "began", "standard", "standard,test", "", ","]),
            json_values | st.just("2026-01-01") | st.just({"updated_at": "2026-01-01"}),
        ),
    ),
    st.sampled_from([("",), ("standard",), ("standard", "test")]),
)
def test_any_json_is_a_state_or_an_error(state: dict[str, Any], modes: tuple[str, ...]) -> None:
    try:
        found = load(state, modes)
    except InputError as error:
        text = str(error)
    else:
        text = "valid"
        assert tuple(found.positions) == modes
        assert reload(found, modes).positions == found.positions
    assert text
    assert "\n" not in text
