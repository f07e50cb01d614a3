"""Hypothesis strategies: arbitrary JSON, schemas and catalogs."""

from typing import Any

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)
from hypothesis import strategies as st

text = st.text(max_size=12)
names = st.text(min_size=1, max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | text
)
json_values = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(text, children, max_size=3),
    max_leaves=12,
)
json_objects = st.dictionaries(text, json_values, max_size=4)

column_schemas = st.recursive(
    st.fixed_dictionaries({"type": st.sampled_from([["null", "string"], "string", ["null", "integer"]])}),
    lambda children: (
        st.fixed_dictionaries(
            {
                "type": st.just(["null", "object"]),
                "properties": st.dictionaries(names, children, min_size=1, max_size=3),
            }
        )
        | st.fixed_dictionaries({"type": st.just(["null", "array"]), "items": children})
    ),
    max_leaves=8,
)


@st.composite
def schemas(draw: st.DrawFn, keys: list[str]) -> dict[str, Any]:
    properties = draw(st.dictionaries(names, column_schemas, max_size=4))
    properties |= {key: {"type": "string"} for key in keys}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if draw(st.booleans()):
        schema["additionalProperties"] = True
    return schema


@st.composite
def airbyte_streams(draw: st.DrawFn, name: str) -> AirbyteStream:
    primary_key = draw(st.none() | st.lists(st.lists(names, min_size=1, max_size=2), max_size=2))
    keys = [path[0] for path in primary_key or []]
    return AirbyteStream(
        name=name,
        json_schema=draw(schemas(keys)),
        supported_sync_modes=draw(st.lists(st.sampled_from(SyncMode), min_size=1, unique=True)),
        source_defined_cursor=draw(st.none() | st.booleans()),
        default_cursor_field=draw(st.none() | st.lists(names, max_size=2)),
        source_defined_primary_key=primary_key,
        namespace=draw(st.none() | text),
        is_resumable=draw(st.none() | st.booleans()),
        is_file_based=draw(st.none() | st.booleans()),
    )


@st.composite
def discovered_catalogs(draw: st.DrawFn) -> AirbyteCatalog:
    stream_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return AirbyteCatalog(streams=[draw(airbyte_streams(name)) for name in stream_names])


identifiers = st.none() | st.integers(0, 2**31)


@st.composite
def configured_catalogs(draw: st.DrawFn) -> ConfiguredAirbyteCatalog:
    catalog = draw(discovered_catalogs())
    return ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=stream,
                sync_mode=draw(st.sampled_from(stream.supported_sync_modes)),
                destination_sync_mode=draw(st.sampled_from(DestinationSyncMode)),
                cursor_field=draw(st.none() | st.lists(names, max_size=2)),
                destination_object_name=draw(st.none() | text),
                primary_key=draw(st.none() | st.lists(st.lists(names, min_size=1, max_size=2), max_size=2)),
                generation_id=draw(identifiers),
                minimum_generation_id=draw(identifiers),
                sync_id=draw(identifiers),
                include_files=draw(st.none() | st.booleans()),
            )
            for stream in catalog.streams
        ]
    )
