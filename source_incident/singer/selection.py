"""Reads a catalog file, Singer's or Airbyte's, into the selection of streams and columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from airbyte_protocol_dataclasses.models import (
    AirbyteCatalog,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)

from source_incident.errors import InputError
from source_incident.protocol import check_stream_name, to_json
from source_incident.singer.catalog import FULL_TABLE, INCREMENTAL, is_incremental, key_fields

SYNC_MODES = {FULL_TABLE: SyncMode.full_refresh, INCREMENTAL: SyncMode.incremental}
CREATE_CATALOG = "Run discover to create a catalog"
DISCOVER_AGAIN = "Run discover again"
# A warning names this many columns.
MAX_NAMED = 10

# The metadata of a Singer entry by breadcrumb; () has the stream's own.
Metadata = Mapping[tuple[str, ...], Mapping[str, Any]]


@dataclass(frozen=True)
class Selection:
    """The streams and columns that a catalog selects.

    Attributes:
        catalog: the selected streams, each with the schema of its selected columns.
        chosen: names of the streams that the user selected; the other streams are selected by default.
        warnings: one line each.
    """

    catalog: ConfiguredAirbyteCatalog
    chosen: frozenset[str]
    warnings: list[str] = field(default_factory=list)


def read_catalog(document: Any, discovered: AirbyteCatalog) -> Selection:
    """Read a catalog of either format. The format is recognized by its structure.

    Args:
        document: a Singer catalog, an Airbyte configured catalog, or the Airbyte catalog that `discover` prints, with
            or without the message around it. The last one selects all its streams.
        discovered: the streams that the connector has.

    Raises:
        InputError: the document is none of these, or a selected stream can't be read as the catalog asks.
    """
    if isinstance(document, Mapping) and isinstance(document.get("catalog"), Mapping):
        document = document["catalog"]
    if not isinstance(document, Mapping) or not isinstance(document.get("streams"), list):
        raise InputError("catalog", 'there is no "streams" list', CREATE_CATALOG)
    entries = document["streams"]
    if not entries:
        raise InputError("catalog", "it has no streams, so nothing would be read", CREATE_CATALOG)
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise InputError("catalog", 'an entry of "streams" is not an object', CREATE_CATALOG)
    if all(isinstance(entry.get("stream"), Mapping) for entry in entries):
        return _airbyte_selection([_load_configured_stream(entry) for entry in entries], discovered)
    if all("json_schema" in entry and "schema" not in entry for entry in entries):
        return _airbyte_selection([_configure(_load_stream(entry)) for entry in entries], discovered)
    return _singer_selection(entries, discovered)


# Airbyte catalogs


def _airbyte_selection(configured: list[ConfiguredAirbyteStream], discovered: AirbyteCatalog) -> Selection:
    streams = {stream.name: stream for stream in discovered.streams}
    chosen: set[str] = set()
    warnings: list[str] = []
    for configured_stream in configured:
        name = configured_stream.stream.name
        check_stream_name(name, streams, chosen)
        chosen.add(name)
        warnings += _complete_schema(configured_stream.stream, streams[name])
        warnings += _check_cursor_field(configured_stream, streams[name])
    return Selection(ConfiguredAirbyteCatalog(streams=configured), frozenset(chosen), warnings)


def _complete_schema(stream: AirbyteStream, discovered: AirbyteStream) -> Iterator[str]:
    """Add the key's columns to a stream's schema; all columns if it has none. Yield a warning for a missing key."""
    columns = (stream.json_schema or {}).get("properties")
    if not isinstance(columns, Mapping) or not columns:
        stream.json_schema = dict(discovered.json_schema)
        return
    missing_keys = [key for key in key_fields(discovered) if key not in columns]
    if missing_keys:
        key_columns = {key: discovered.json_schema["properties"][key] for key in missing_keys}
        stream.json_schema = {**stream.json_schema, "properties": {**key_columns, **columns}}
        yield f"catalog: {stream.name}: the schema lacks its key {', '.join(missing_keys)}. The key is read anyway"


def _check_cursor_field(configured: ConfiguredAirbyteStream, discovered: AirbyteStream) -> Iterator[str]:
    """Yield a warning if the catalog names a cursor field that is not the stream's own.

    The source ignores the field, because it defines the cursor itself. A destination uses it all the same.
    """
    own_field, given_field = discovered.default_cursor_field or [], configured.cursor_field
    if configured.sync_mode == SyncMode.incremental and given_field and given_field != own_field:
        advice = f"Set it to {own_field[0]}, the stream's own cursor field" if own_field else "Remove it"
        ignored = ".".join(map(str, given_field))
        yield f"catalog: {discovered.name}: the cursor_field {ignored!r} is ignored. {advice}"


def _configure(stream: AirbyteStream, sync_mode: SyncMode | None = None) -> ConfiguredAirbyteStream:
    """Configure a stream with the defaults. Without a sync mode, it is incremental if the stream supports it."""
    return ConfiguredAirbyteStream(
        stream=stream,
        sync_mode=sync_mode or (SyncMode.incremental if is_incremental(stream) else SyncMode.full_refresh),
        destination_sync_mode=DestinationSyncMode.append_dedup,
        cursor_field=stream.default_cursor_field,
        primary_key=stream.source_defined_primary_key,
    )


def _load_configured_stream(entry: Mapping[str, Any]) -> ConfiguredAirbyteStream:
    try:
        return msgspec.convert(entry, ConfiguredAirbyteStream)
    except msgspec.ValidationError as error:
        problem = f"an entry is not a configured stream of the Airbyte protocol: {_shorten(error)}"
        raise InputError("catalog", problem, CREATE_CATALOG) from None


def _load_stream(entry: Mapping[str, Any]) -> AirbyteStream:
    try:
        return msgspec.convert(entry, AirbyteStream)
    except msgspec.ValidationError as error:
        problem = f"an entry is not a stream of the Airbyte protocol: {_shorten(error)}"
        raise InputError("catalog", problem, CREATE_CATALOG) from None


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


# Singer catalogs


def _singer_selection(entries: list[Mapping[str, Any]], discovered: AirbyteCatalog) -> Selection:
    streams = {stream.name: stream for stream in discovered.streams}
    configured: list[ConfiguredAirbyteStream] = []
    chosen: set[str] = set()
    seen: set[str] = set()
    warnings: list[str] = []
    for entry in entries:
        name = _stream_name(entry)
        metadata = _metadata(entry, name)
        if not _is_selected(metadata[()]):
            continue
        check_stream_name(name, streams, seen)
        seen.add(name)
        if metadata[()].get("selected"):
            chosen.add(name)
        schema = _schema(entry, streams[name])
        warnings += _check_breadcrumbs(name, metadata, schema)
        warnings += _check_columns(name, schema, streams[name].json_schema)
        selected_columns = _selected_columns(schema, metadata, frozenset(key_fields(streams[name])))
        sync_mode = _sync_mode(entry, metadata[()], streams[name])
        configured.append(_configure_entry(metadata[()], streams[name], selected_columns, sync_mode))
    if not configured:
        raise InputError("catalog", "no stream is selected, so nothing would be read", "Set selected to true for some")
    return Selection(ConfiguredAirbyteCatalog(streams=configured), frozenset(chosen), warnings)


def _stream_name(entry: Mapping[str, Any]) -> str:
    name = entry.get("tap_stream_id") or entry.get("stream")
    if not isinstance(name, str):
        raise InputError("catalog", "an entry has no tap_stream_id", CREATE_CATALOG)
    return name


def _metadata(entry: Mapping[str, Any], name: str) -> Metadata:
    """Return the entry's metadata by breadcrumb. The stream's own is always present."""
    metadata: dict[tuple[str, ...], Mapping[str, Any]] = {(): {}}
    items = entry.get("metadata") or []
    if not isinstance(items, list):
        raise InputError("catalog", f"the metadata of the stream {name!r} is not a list", CREATE_CATALOG)
    for item in items:
        breadcrumb = item.get("breadcrumb") if isinstance(item, Mapping) else None
        values = item.get("metadata") if isinstance(item, Mapping) else None
        if not isinstance(breadcrumb, list) or not isinstance(values, Mapping):
            problem = f"an item in the metadata of the stream {name!r} has no breadcrumb list or no metadata object"
            raise InputError("catalog", problem, CREATE_CATALOG)
        path = tuple(str(step) for step in breadcrumb)
        flags = {
            key: _flag(values[key], name, key, path) for key in ("selected", "selected-by-default") if key in values
        }
        metadata[path] = {**values, **flags}
    # Old catalogs have `selected` next to the schema.
    metadata[()] = {"selected": _flag(entry.get("selected"), name, "selected"), **metadata[()]}
    return metadata


def _flag(value: Any, stream: str, key: str, path: tuple[str, ...] = ()) -> bool | None:
    """Parse a boolean, which some programs write as text. None: the catalog leaves it open."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    where = f" at {'.'.join(path)!r}" if path else ""
    problem = f"{key}{where} of the stream {stream!r} is {value!r:.40}"
    raise InputError("catalog", problem, "Set it to true or false")


def _is_selected(metadata: Mapping[str, Any]) -> bool:
    """Return whether a stream or column is selected: by `selected`, else by `selected-by-default`, else it is."""
    if metadata.get("inclusion") == "unsupported":
        return False
    selected = metadata.get("selected")
    return bool(metadata.get("selected-by-default", True) if selected is None else selected)


def _schema(entry: Mapping[str, Any], stream: AirbyteStream) -> Mapping[str, Any]:
    """Return the entry's schema, or the stream's own if the entry has none."""
    schema = entry.get("schema") or stream.json_schema
    if not isinstance(schema, Mapping) or not isinstance(schema.get("properties"), Mapping):
        raise InputError("catalog", f"the schema of the stream {stream.name!r} has no properties", DISCOVER_AGAIN)
    missing_keys = [key for key in key_fields(stream) if key not in schema["properties"]]
    if missing_keys:
        problem = f"the schema of the stream {stream.name!r} lacks its key {', '.join(missing_keys)}"
        raise InputError("catalog", problem, DISCOVER_AGAIN)
    return schema


def _check_breadcrumbs(name: str, metadata: Metadata, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning for the first breadcrumb that is not in the schema."""
    unknown = next((path for path in metadata if not _is_in_schema(path, schema)), None)
    if unknown is not None:
        problem = f"the breadcrumb {'.'.join(unknown)!r} is not in the schema and is ignored"
        yield f"catalog: {name}: {problem}. {DISCOVER_AGAIN}"


def _check_columns(name: str, schema: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning if the schema lacks columns that the connector has, as a catalog of an older version does."""
    missing = list(_missing_columns(schema, declared))
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        problem = f"the schema lacks {', '.join(missing[:MAX_NAMED])}{more}, which are not emitted"
        yield f"catalog: {name}: {problem}. {DISCOVER_AGAIN} to include them"


def _missing_columns(schema: Any, declared: Any, path: str = "") -> Iterator[str]:
    """Yield the columns that only the declared schema has, at any depth. A schema without columns has all of them."""
    while isinstance(schema, Mapping) and isinstance(declared, Mapping) and "items" in schema and "items" in declared:
        schema, declared = schema["items"], declared["items"]
    columns = schema.get("properties") if isinstance(schema, Mapping) else None
    declared_columns = declared.get("properties") if isinstance(declared, Mapping) else None
    if columns and isinstance(columns, Mapping) and isinstance(declared_columns, Mapping):
        for column, column_schema in declared_columns.items():
            if column in columns:
                yield from _missing_columns(columns[column], column_schema, f"{path}{column}.")
            else:
                yield path + column


def _is_in_schema(path: tuple[str, ...], schema: Any) -> bool:
    for step in path:
        if not isinstance(schema, Mapping) or step not in schema:
            return False
        schema = schema[step]
    return True


def _selected_columns(
    schema: Mapping[str, Any],
    metadata: Metadata,
    keys: frozenset[str] = frozenset(),
    path: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the schema without the columns that are not selected, at any depth. Key columns are always selected."""
    selected = dict(schema)
    if path and schema.get("properties") == {}:
        # In the result, an object with an empty list of columns is one whose columns are all unselected.
        del selected["properties"]
    elif isinstance(schema.get("properties"), Mapping):
        selected["properties"] = {}
        for column, column_schema in schema["properties"].items():
            column_path = (*path, "properties", column)
            column_metadata = metadata.get(column_path, {})
            if column in keys or column_metadata.get("inclusion") == "automatic" or _is_selected(column_metadata):
                is_schema = isinstance(column_schema, Mapping)
                selected["properties"][column] = (
                    _selected_columns(column_schema, metadata, path=column_path) if is_schema else column_schema
                )
    if isinstance(schema.get("items"), Mapping):
        selected["items"] = _selected_columns(schema["items"], metadata, path=(*path, "items"))
    return selected


def _sync_mode(entry: Mapping[str, Any], metadata: Mapping[str, Any], stream: AirbyteStream) -> SyncMode:
    """Return how the catalog wants the stream to be read; incrementally if it leaves that open and it is possible.

    The user sets `replication-method`; discovery sets the other two.
    """
    method = (
        metadata.get("replication-method")
        or metadata.get("forced-replication-method")
        or entry.get("replication_method")
        or (INCREMENTAL if is_incremental(stream) else FULL_TABLE)
    )
    sync_mode = SYNC_MODES.get(str(method).upper())
    if sync_mode is None:
        problem = f"the replication-method of the stream {stream.name!r} is {method!r:.40}"
        raise InputError("catalog", problem, f"Set it to {FULL_TABLE} or {INCREMENTAL}")
    if sync_mode == SyncMode.incremental and not is_incremental(stream):
        problem = f"the stream {stream.name!r} can't be read incrementally"
        raise InputError("catalog", problem, f"Set its replication-method to {FULL_TABLE}")
    return sync_mode


def _configure_entry(
    metadata: Mapping[str, Any], stream: AirbyteStream, json_schema: dict[str, Any], sync_mode: SyncMode
) -> ConfiguredAirbyteStream:
    """Configure a stream with the Airbyte properties that the metadata has under `airbyte`, else with the defaults."""
    properties = metadata.get("airbyte")
    if not isinstance(properties, Mapping):
        properties = {}
    if isinstance(properties.get("stream"), Mapping):
        selected = _load_stream({**properties["stream"], "name": stream.name, "json_schema": json_schema})
    else:
        selected = replace(stream, json_schema=json_schema)
    if "sync_mode" not in properties:
        return _configure(selected, sync_mode)
    configured = _load_configured_stream({**properties, "stream": to_json(selected)})
    configured.sync_mode = sync_mode
    return configured
