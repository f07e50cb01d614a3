"""Places: a stream's state is printed and read back as it was, and a bookmark never moves back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.sync.state import EMPTY_MARKERS, Partition, ResumePoint, StateError, StreamPosition, StreamState
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


def progress(state: Any = None, modes: tuple[str, ...] = ("",), cursor: str = "updated_at") -> StreamState:
    return StreamState("incidents", cursor, modes, state)


def again(given_progress: StreamState, modes: tuple[str, ...]) -> StreamState:
    """The progress of the next run, from the state as it was printed."""
    return progress(json.loads(json.dumps(given_progress.state())), modes)


# There and back


@given(positions)
def test_the_place_of_a_stream_comes_back_as_it_was(place: StreamPosition) -> None:
    before = progress()
    before.positions[""] = place
    assert again(before, ("",)).positions == {"": place}


@given(
    st.dictionaries(st.sampled_from(MODES), positions, min_size=1), st.dictionaries(st.text(max_size=5), st.integers(1))
)
def test_the_places_of_modes_come_back_as_they_were(by_mode: dict[str, StreamPosition], pages: dict[str, int]) -> None:
    modes = tuple(by_mode)
    before = progress(modes=modes)
    before.positions.update(by_mode)
    before.nested_pages.update(pages)
    after = again(before, modes)
    assert after.positions == by_mode
    assert after.nested_pages == pages
    assert after.state() == before.state()


@given(
    st.dictionaries(st.sampled_from(MODES), positions, min_size=2),
    st.lists(st.sets(st.sampled_from(MODES), min_size=1), max_size=4),
)
def test_modes_that_the_config_leaves_out_keep_their_places(
    by_mode: dict[str, StreamPosition], configs: list[set[str]]
) -> None:
    before = progress(modes=tuple(by_mode))
    before.positions.update(by_mode)
    current = before
    for modes in configs:
        current = again(current, tuple(sorted(modes)))
        assert current.positions == {mode: by_mode.get(mode, StreamPosition()) for mode in modes}
    assert again(current, tuple(by_mode)).positions == by_mode


def test_nothing_read_yet_is_a_state_that_the_next_run_takes() -> None:
    assert progress().state() == {}
    assert again(progress(), ("",)).positions == {"": StreamPosition()}
    assert again(progress(modes=("standard", "test")), ("standard",)).positions == {"standard": StreamPosition()}


# Its form


def test_a_state_has_the_documented_form() -> None:
    state = progress({"updated_at": "2026-01-01T00:00:00Z", "resume": RESUME}).state()
    assert state == {"updated_at": "2026-01-01T00:00:00.000Z", "resume": RESUME}


def test_modes_at_the_same_place_share_it_and_the_bookmark_is_the_earliest() -> None:
    found = progress(modes=("standard", "retrospective", "test"))
    found.positions.update(
        standard=StreamPosition(LATE), retrospective=StreamPosition(LATE), test=StreamPosition(EARLY)
    )
    assert found.state() == {
        "updated_at": "2026-01-01T00:00:00.000Z",
        "modes": {
            "standard,retrospective": {"updated_at": "2026-02-01T00:00:00.000Z"},
            "test": {"updated_at": "2026-01-01T00:00:00.000Z"},
        },
    }


def test_a_mode_without_a_bookmark_means_no_bookmark_for_all() -> None:
    found = progress(modes=("standard", "test"))
    found.positions["standard"] = StreamPosition(LATE)
    assert "updated_at" not in found.state()


# Modes come and go


def test_a_mode_added_to_the_config_is_read_from_the_start() -> None:
    state = progress(modes=("standard", "retrospective"))
    state.positions.update(standard=StreamPosition(LATE), retrospective=StreamPosition(LATE))
    assert again(state, ("standard", "retrospective", "test")).positions == {
        "standard": StreamPosition(LATE),
        "retrospective": StreamPosition(LATE),
        "test": StreamPosition(),
    }


def test_the_bookmark_of_another_taps_making_is_for_the_modes_that_the_api_answers_with() -> None:
    found = progress({"updated_at": "2026-01-01"}, ("standard", "retrospective", "test"))
    assert found.positions == {
        "standard": StreamPosition(EARLY),
        "retrospective": StreamPosition(EARLY),
        "test": StreamPosition(),
    }


def test_a_bookmark_of_another_taps_making_keeps_for_modes_that_are_configured_later() -> None:
    found = progress({"updated_at": "2026-01-01"}, ("standard",))
    assert again(found, ("standard", "retrospective")).positions["retrospective"] == StreamPosition(EARLY)


# Bookmarks


@given(positions, st.lists(st.tuples(st.sampled_from(["reached", "finished", "restarted"]), moments), max_size=8))
def test_a_bookmark_never_moves_back(place: StreamPosition, events: list[tuple[str, datetime]]) -> None:
    for event, began in events:
        before = place.bookmark
        match event:
            case "reached":
                place = place.reached((Partition("01H"),), None, began)
                assert place.bookmark == before, "an unfinished pass leaves the bookmark"
                assert place.resume == ResumePoint((Partition("01H"),), None, began)
            case "finished":
                place = place.finished(began)
                assert place.bookmark is not None
                assert place.bookmark >= began
                assert place.resume is None
            case _:
                place = place.restarted()
                assert place == StreamPosition(before)
        assert before is None or (place.bookmark is not None and place.bookmark >= before)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC)))
def test_a_printed_bookmark_is_never_later_than_it_was(bookmark: datetime) -> None:
    found = progress()
    found.positions[""] = StreamPosition(bookmark)
    read = again(found, ("",)).positions[""].bookmark
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
def test_a_bookmark_may_be_written_in_many_ways(text: str, moment: datetime) -> None:
    assert progress({"updated_at": text}).positions == {"": StreamPosition(moment)}


# States that say nothing, or nothing that can be understood


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "1970-01-01", "2019-12-31T23:59:59.999Z"])
def test_a_moment_before_any_account_means_everything(text: str) -> None:
    resume = {"parts": [{"after": "01H", "to": text}], "since": None, "began": text}
    place = progress({"updated_at": text, "resume": resume}).positions[""]
    assert place == StreamPosition(EARLIEST, ResumePoint((Partition("01H", None, EARLIEST),), None, EARLIEST))


@pytest.mark.parametrize("state", [None, {}, *({marker: True} for marker in sorted(EMPTY_MARKERS))])
@pytest.mark.parametrize("modes", [("",), ("standard",)])
def test_a_state_that_says_nothing_is_a_first_sync(state: Any, modes: tuple[str, ...]) -> None:
    assert progress(state, modes).positions == {mode: StreamPosition() for mode in modes}


@pytest.mark.parametrize(
    ("state", "said"),
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
def test_a_bad_state_names_what_is_wrong(state: Any, said: str) -> None:
    with pytest.raises(StateError) as caught:
        progress(state)
    assert said in str(caught.value)
    with pytest.raises(StateError) as caught:
        progress({"modes": {"standard": state}} if "created_at" not in state else state, ("standard",))
    assert said.replace("of it", "of modes.standard") in str(caught.value)


@pytest.mark.parametrize("modes", [[], "standard", 5, {"standard": "2026-01-01"}, {"standard": None}])
def test_bad_modes_are_named(modes: Any) -> None:
    with pytest.raises(StateError, match="modes"):
        progress({"modes": modes}, ("standard",))


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
        found = progress(state, modes)
    except StateError as error:
        said = str(error)
    else:
        said = "understood"
        assert tuple(found.positions) == modes
        assert again(found, modes).positions == found.positions
    assert said
    assert "\n" not in said
