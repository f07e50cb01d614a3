"""Conversion of states between the Airbyte protocol and Singer."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from source_incident.batches import StateUpdate
from source_incident.errors import InputError
from source_incident.singer.state import SavedState, read_state, singer_state
from unit_tests.singer.strategies import json_objects, json_values, text

REPLICATION_KEYS = {"incidents": "updated_at", "incident_updates": "created_at"}
RESUME = {"after": "01H", "since": "2025-12-31", "began": "2026-01-02T00:00:00.000Z"}
STREAM_STATE = {"updated_at": "2026-01-01T00:00:00.000Z", "resume": RESUME}

reserved_names = st.sampled_from(
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
stream_states = json_objects | st.dictionaries(reserved_names | text, json_values, max_size=4)
saved_states = st.builds(
    SavedState,
    st.dictionaries(st.sampled_from(["incidents", "severities"]) | text, stream_states, max_size=3),
    st.none() | text,
)
replication_keys = st.dictionaries(st.just("incidents") | text, reserved_names | text, max_size=3)


def error_text(document: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_state(document, REPLICATION_KEYS)
    text = str(caught.value)
    assert text.startswith("state: ")
    assert caught.value.advice
    assert "\n" not in text
    return text


@given(saved_states, replication_keys)
@example(SavedState({"incidents": {"updated_at": None}}), REPLICATION_KEYS)
@example(SavedState({"incidents": {"replication_key": "id", "updated_at": 1}}), REPLICATION_KEYS)
def test_airbyte_to_singer_and_back_loses_nothing(state: SavedState, keys: dict[str, str]) -> None:
    document = json.loads(json.dumps(singer_state(state, keys)))
    assert read_state(document, keys) == state


def airbyte_messages(state: SavedState) -> list[Any]:
    """The state as the connector writes it in Airbyte mode."""
    return [json.loads(StateUpdate(name, values, 0).line()) for name, values in state.streams.items()]


@given(saved_states, replication_keys)
def test_reads_its_own_airbyte_messages(state: SavedState, keys: dict[str, str]) -> None:
    assert read_state(airbyte_messages(state), keys).streams == state.streams


@given(saved_states, replication_keys)
def test_singer_to_airbyte_and_back_loses_nothing(state: SavedState, keys: dict[str, str]) -> None:
    document = singer_state(state, keys)
    streams = read_state(airbyte_messages(read_state(document, keys)), keys).streams
    assert singer_state(SavedState(streams, state.currently_syncing), keys) == document


def test_a_bookmark_has_the_cursor_under_singers_names_beside_the_resume_point() -> None:
    assert singer_state(SavedState({"incidents": STREAM_STATE}, "incidents"), REPLICATION_KEYS) == {
        "bookmarks": {
            "incidents": {
                "replication_key": "updated_at",
                "replication_key_value": "2026-01-01T00:00:00.000Z",
                "resume": RESUME,
            }
        },
        "currently_syncing": "incidents",
    }


def test_omits_currently_syncing_when_no_stream_is_being_read() -> None:
    assert singer_state(SavedState({}), REPLICATION_KEYS) == {"bookmarks": {}}


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
def test_an_empty_state_starts_a_first_sync(document: Any) -> None:
    assert read_state(document, REPLICATION_KEYS) == SavedState({})


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
def test_reads_bookmarks_of_other_taps(bookmark: dict[str, Any]) -> None:
    assert read_state({"bookmarks": {"incidents": bookmark}}, REPLICATION_KEYS).streams == {
        "incidents": {"updated_at": "2026-01-01"}
    }


@pytest.mark.parametrize("bookmark", [{}, {"replication_key": "updated_at", "replication_key_value": None}])
def test_a_bookmark_without_a_value_starts_a_first_sync(bookmark: dict[str, Any]) -> None:
    assert read_state({"bookmarks": {"incidents": bookmark}}, REPLICATION_KEYS).streams == {"incidents": {}}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"type": "STATE", "value": state},
        lambda state: {"singer_state": state},
        lambda state: {"singer_state": {"type": "STATE", "value": state}},
    ],
)
def test_reads_a_singer_state_inside_its_message_and_meltanos_document(wrap: Any) -> None:
    state = {"bookmarks": {"incidents": {"updated_at": "2026-01-01"}}, "currently_syncing": "incidents"}
    assert read_state(wrap(state), REPLICATION_KEYS) == SavedState(
        {"incidents": {"updated_at": "2026-01-01"}}, "incidents"
    )


def state_message(name: Any = "incidents", state: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}, **more}


@pytest.mark.parametrize(
    "document",
    [
        [state_message(state=STREAM_STATE)],
        state_message(state=STREAM_STATE),
        {"type": "STATE", "state": state_message(state=STREAM_STATE)},
        [{"type": "STATE", "state": state_message(state=STREAM_STATE, sourceStats={"recordCount": 1.0})}],
        [state_message(state={}), state_message(state=STREAM_STATE)],
    ],
)
def test_reads_one_airbyte_state_or_several_with_or_without_messages(document: Any) -> None:
    assert read_state(document, REPLICATION_KEYS).streams == {"incidents": STREAM_STATE}


@pytest.mark.parametrize(
    ("document", "expected"),
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
        ([state_message(name=None)], "stream_descriptor.name"),
        ([{"type": "STREAM", "stream": None}], "stream_descriptor.name"),
        ([state_message(state="2026")], "'incidents'"),
    ],
)
def test_rejects_an_invalid_state_in_one_line(document: Any, expected: str) -> None:
    assert expected in error_text(document)


state_like_values = json_values | st.dictionaries(
    st.sampled_from(["bookmarks", "type", "value", "singer_state", "state", "stream", "currently_syncing"]),
    json_values
    | st.sampled_from(["STATE", "STREAM"])
    | st.dictionaries(
        st.sampled_from(["incidents", "stream_descriptor", "stream_state", "bookmarks", "type", "stream"]),
        json_values | st.dictionaries(reserved_names, json_values, max_size=3),
        max_size=3,
    ),
    max_size=4,
)


@given(state_like_values | st.lists(state_like_values, max_size=2))
def test_any_json_is_read_or_rejected(document: Any) -> None:
    try:
        state = read_state(document, REPLICATION_KEYS)
    except InputError as error:
        assert str(error).startswith("state: ")
        assert "\n" not in str(error)
    else:
        assert all(isinstance(stream_state, dict) for stream_state in state.streams.values())
        json.dumps(singer_state(state, REPLICATION_KEYS))
