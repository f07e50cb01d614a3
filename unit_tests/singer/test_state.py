"""State: bookmarks to Airbyte's messages and back without loss, of this tap and of others."""

import json
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessageSerializer
from hypothesis import example, given
from hypothesis import strategies as st

from source_incident.singer import SavedState, StateFormatError, read_state, singer_state
from unit_tests.singer.strategies import json_objects, json_values, text

CURSORS = {"incidents": "updated_at", "incident_updates": "created_at"}
RESUME = {"after": "01H", "since": "2025-12-31", "began": "2026-01-02T00:00:00.000Z"}
WHOLE = {"updated_at": "2026-01-01T00:00:00.000Z", "resume": RESUME}

special = st.sampled_from(
    [
        "updated_at",
        "replication_key",
        "replication_key_value",
        "airbyte_state",
        "progress_markers",
        "starting_replication_value",
        "replication_key_signpost",
    ]
)
blobs = json_objects | st.dictionaries(special | text, json_values, max_size=4)
saved_states = st.builds(
    SavedState,
    st.dictionaries(st.sampled_from(["incidents", "severities"]) | text, blobs, max_size=3),
    st.none() | text,
)
cursors = st.dictionaries(st.just("incidents") | text, special | text, max_size=3)


def refused(document: Any) -> str:
    with pytest.raises(StateFormatError) as caught:
        read_state(document, CURSORS)
    message = str(caught.value)
    assert message.startswith("state: ")
    assert "\n" not in message
    return message


@given(saved_states, cursors)
@example(SavedState({"incidents": {"updated_at": None}}), CURSORS)
@example(SavedState({"incidents": {"replication_key": "id", "updated_at": 1}}), CURSORS)
def test_a_state_comes_back_from_singer_as_it_was(state: SavedState, by_stream: dict[str, str]) -> None:
    written = json.loads(json.dumps(singer_state(state, by_stream)))
    assert read_state(written, by_stream) == state


@given(saved_states, cursors)
def test_a_state_comes_back_from_airbyte_as_it_was(state: SavedState, by_stream: dict[str, str]) -> None:
    dumped = [AirbyteStateMessageSerializer.dump(message) for message in state.messages()]
    written = json.loads(json.dumps(dumped))
    assert read_state(written, by_stream).streams == state.streams


@given(saved_states, cursors)
def test_a_state_goes_through_both_formats_and_back(state: SavedState, by_stream: dict[str, str]) -> None:
    singer = singer_state(state, by_stream)
    airbyte = [AirbyteStateMessageSerializer.dump(item) for item in read_state(singer, by_stream).messages()]
    back = read_state(airbyte, by_stream)
    assert singer_state(SavedState(back.streams, state.currently_syncing), by_stream) == singer


def test_a_bookmark_has_the_cursor_under_singers_names_and_the_resume_point_beside_it() -> None:
    assert singer_state(SavedState({"incidents": WHOLE}, "incidents"), CURSORS) == {
        "bookmarks": {
            "incidents": {
                "replication_key": "updated_at",
                "replication_key_value": "2026-01-01T00:00:00.000Z",
                "resume": RESUME,
            }
        },
        "currently_syncing": "incidents",
    }


def test_nothing_is_syncing_so_nothing_says_so() -> None:
    assert singer_state(SavedState({}), CURSORS) == {"bookmarks": {}}


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        {"bookmarks": {}},
        {"singer_state": {}},
        {"type": "STATE", "value": {}},
        {"type": "STATE", "value": None},
        {"type": "STATE", "value": {"bookmarks": {}}},
    ],
)
def test_an_empty_state_is_a_first_sync(document: Any) -> None:
    assert read_state(document, CURSORS) == SavedState({})


@pytest.mark.parametrize(
    "bookmark",
    [
        {"replication_key_value": "2026-01-01"},
        {"replication_key": "updated_at", "replication_key_value": "2026-01-01"},
        {"replication_key": None, "replication_key_value": "2026-01-01"},
        {
            "replication_key": "updated_at",
            "replication_key_value": "2026-01-01",
            "progress_markers": {},
            "replication_key_signpost": "2026-01-02",
            "starting_replication_value": None,
        },
        {"updated_at": "2026-01-01"},
    ],
)
def test_a_bookmark_of_another_taps_making_works(bookmark: dict[str, Any]) -> None:
    assert read_state({"bookmarks": {"incidents": bookmark}}, CURSORS).streams == {
        "incidents": {"updated_at": "2026-01-01"}
    }


@pytest.mark.parametrize("bookmark", [{}, {"replication_key": "updated_at", "replication_key_value": None}])
def test_a_bookmark_that_says_nothing_is_a_first_sync(bookmark: dict[str, Any]) -> None:
    assert read_state({"bookmarks": {"incidents": bookmark}}, CURSORS).streams == {"incidents": {}}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"type": "STATE", "value": state},
        lambda state: {"singer_state": state},
        lambda state: {"singer_state": {"type": "STATE", "value": state}},
    ],
)
def test_a_singer_state_is_read_from_what_is_kept_around_it(wrap: Any) -> None:
    state = {"bookmarks": {"incidents": {"updated_at": "2026-01-01"}}, "currently_syncing": "incidents"}
    assert read_state(wrap(state), CURSORS) == SavedState({"incidents": {"updated_at": "2026-01-01"}}, "incidents")


def airbyte(name: Any = "incidents", state: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}, **more}


@pytest.mark.parametrize(
    "document",
    [
        [airbyte(state=WHOLE)],
        airbyte(state=WHOLE),
        {"type": "STATE", "state": airbyte(state=WHOLE)},
        [{"type": "STATE", "state": airbyte(state=WHOLE, sourceStats={"recordCount": 1.0})}],
        [airbyte(state={}), airbyte(state=WHOLE)],
    ],
)
def test_airbyte_states_are_read_one_or_many_message_or_not(document: Any) -> None:
    assert read_state(document, CURSORS).streams == {"incidents": WHOLE}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("state", "neither"),
        (5, "neither"),
        ([5], "neither"),
        ({"incidents": {}}, "neither"),
        ({"singer_state": 5}, "neither"),
        ({"singer_state": ["x"]}, "neither"),
        ({"type": "STATE", "value": 5}, "neither"),
        ({"type": "LEGACY", "data": {}}, "neither"),
        ([{"type": "GLOBAL", "global": {}}], "neither"),
        ({"bookmarks": []}, "bookmarks is not an object"),
        ({"bookmarks": None}, "bookmarks is not an object"),
        ({"bookmarks": {"incidents": "2026"}}, "'incidents'"),
        ({"bookmarks": {"incidents": None}}, "'incidents'"),
        ({"bookmarks": {"incidents": {"airbyte_state": 1}}}, "'incidents'"),
        ({"bookmarks": {"severities": {"replication_key_value": "2026"}}}, "'severities'"),
        ({"bookmarks": {"incidents": {"replication_key": 3, "replication_key_value": "2026"}}}, "'incidents'"),
        ([airbyte(name=None)], "stream_descriptor.name"),
        ([{"type": "STREAM", "stream": None}], "stream_descriptor.name"),
        ([airbyte(state="2026")], "'incidents'"),
    ],
)
def test_a_state_that_cannot_be_understood_is_one_clear_line(document: Any, said: str) -> None:
    assert said in refused(document)


fuzzed = json_values | st.dictionaries(
    st.sampled_from(["bookmarks", "type", "value", "singer_state", "state", "stream", "currently_syncing"]),
    json_values
    | st.sampled_from(["STATE", "STREAM"])
    | st.dictionaries(
        st.sampled_from(["incidents", "stream_descriptor", "stream_state", "bookmarks", "type", "stream"]),
        json_values | st.dictionaries(special, json_values, max_size=3),
        max_size=3,
    ),
    max_size=4,
)


@given(fuzzed | st.lists(fuzzed, max_size=2))
def test_any_json_is_a_state_or_an_error(document: Any) -> None:
    try:
        state = read_state(document, CURSORS)
    except StateFormatError as error:
        said = str(error)
    else:
        said = "state: "
        assert all(isinstance(blob, dict) for blob in state.streams.values())
        json.dumps(singer_state(state, CURSORS))
        assert len(state.messages()) == len(state.streams)
    assert said.startswith("state: ")
    assert "\n" not in said
