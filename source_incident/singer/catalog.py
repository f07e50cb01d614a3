"""Catalogs: Airbyte's to Singer's and back.

Singer's side is the Singer specification's discovery mode (`tap_stream_id`, `stream`, `key_properties`, `schema`,
`metadata` by breadcrumb). What Singer has no word for is kept under `airbyte` in the stream's metadata, so that no
direction loses anything.
"""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    ConfiguredAirbyteStreamSerializer,
    DestinationSyncMode,
    SyncMode,
)
from airbyte_cdk.models.airbyte_protocol_serializers import AirbyteStreamSerializer

FULL_TABLE, INCREMENTAL = "FULL_TABLE", "INCREMENTAL"
FLAGS = ("selected", "selected-by-default")
METHODS = {FULL_TABLE: SyncMode.full_refresh, INCREMENTAL: SyncMode.incremental}


class CatalogError(ValueError):
    """A catalog that can't be used. The message is one line: what is wrong, where, what to do."""


@dataclass(frozen=True)
class Selection:
    """What a catalog selects.

    Attributes:
        catalog: the selected streams, each with the schema of its selected columns.
        chosen: the streams that the user selected; the others of the catalog are there by default.
        schemas: by stream, the whole schema as the user's catalog has it, unselected columns included.
        warnings: one line each.
    """

    catalog: ConfiguredAirbyteCatalog
    chosen: frozenset[str]
    schemas: Mapping[str, Mapping[str, Any]]
    warnings: list[str] = field(default_factory=list)


def singer_catalog(
    catalog: AirbyteCatalog | ConfiguredAirbyteCatalog, off_by_default: Collection[str] = ()
) -> dict[str, Any]:
    """The Singer catalog of an Airbyte catalog.

    Args:
        catalog: discovered, or configured: then every stream of it is selected.
        off_by_default: names of streams that are not selected where the user says nothing.
    """
    entries = []
    for item in catalog.streams:
        if isinstance(item, ConfiguredAirbyteStream):
            entries.append(_configured_entry(item))
        else:
            entries.append(_discovered_entry(item, item.name not in off_by_default))
    return {"streams": entries}


def discovered_catalog(singer: Mapping[str, Any]) -> AirbyteCatalog:
    """The Airbyte catalog of a Singer catalog that discovery made: the inverse of `singer_catalog`."""
    return AirbyteCatalog(streams=[_stream_of(entry, _metadata(entry)[()]) for entry in _entries(singer)])


def read_catalog(document: Any, discovered: AirbyteCatalog) -> Selection:
    """Reads a catalog file of either format, told apart by its shape.

    Args:
        document: Singer's catalog; Airbyte's configured catalog; or Airbyte's catalog as `discover` prints it, the
            message around it included: then every stream of it is selected.
        discovered: what the tap has.

    Raises:
        CatalogError: it is none of these, or what it selects can't be read.
    """
    if isinstance(document, Mapping) and isinstance(document.get("catalog"), Mapping):
        document = document["catalog"]
    if not isinstance(document, Mapping) or not isinstance(document.get("streams"), list):
        raise CatalogError('catalog: it has no "streams" list. Make one with --discover')
    entries = document["streams"]
    if not entries:
        raise CatalogError("catalog: it has no streams, nothing would be read. Make one with --discover")
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise CatalogError("catalog: an entry of its streams is not an object. Make one with --discover")
    if all(isinstance(entry.get("stream"), Mapping) for entry in entries):
        return _airbyte_selection([_configured(entry) for entry in entries], discovered)
    if all("json_schema" in entry and "schema" not in entry for entry in entries):
        return _airbyte_selection([_default_configured(_airbyte_stream(entry)) for entry in entries], discovered)
    return select(document, discovered)


def select(singer: Mapping[str, Any], discovered: AirbyteCatalog) -> Selection:
    """What a Singer catalog selects, as Airbyte's configured catalog.

    A stream is selected by `selected` in its metadata (or, in old catalogs, beside its schema), else by
    `selected-by-default`, else it is. Columns likewise, at any depth of breadcrumb; keys always are.
    `replication-method` says how a stream is read; without it, `forced-replication-method` of the user's catalog;
    without that, incrementally where that can be.

    Raises:
        CatalogError: a stream is unknown, there twice, or can't be read as the catalog wants.
    """
    known = {stream.name: stream for stream in discovered.streams}
    streams, chosen, warnings = [], set(), []
    schemas: dict[str, Mapping[str, Any]] = {}
    for entry in _entries(singer):
        name = _name(entry)
        metadata = _metadata(entry)
        of_stream = metadata[()]
        selected = of_stream.get("selected", _flag(name, "selected", entry.get("selected")))
        wanted = of_stream.get("selected-by-default", True) if selected is None else selected
        if not wanted or of_stream.get("inclusion") == "unsupported":
            continue
        if name not in known:
            raise CatalogError(f"catalog: there is no stream {name!r}. Run --discover again, or set selected to false")
        if name in schemas:
            raise CatalogError(f"catalog: the stream {name!r} is there twice. Leave one of them")
        if selected:
            chosen.add(name)
        stream = known[name]
        keys = _keys(stream)
        schema = entry.get("schema") or stream.json_schema
        if not isinstance(schema, Mapping) or not isinstance(schema.get("properties"), Mapping):
            raise CatalogError(f"catalog: the schema of the stream {name!r} has no properties. Run --discover again")
        missing = [key for key in keys if key not in schema["properties"]]
        if missing:
            raise CatalogError(
                f"catalog: the schema of the stream {name!r} lacks its key {', '.join(missing)}. Run --discover again"
            )
        schemas[name] = schema
        lost = [path for path in metadata if not _leads_somewhere(schema, path)]
        if lost:
            warnings.append(f"catalog: {name}: the breadcrumb {'.'.join(lost[0])!r} leads nowhere, it is ignored")
        configured = _stream_of(entry, of_stream, stream)
        configured.json_schema = _pruned(schema, metadata, frozenset(keys), ())
        streams.append(_configured_of(configured, name, entry, of_stream, stream))
    if not streams:
        raise CatalogError("catalog: no stream is selected, nothing would be read. Set selected to true for some")
    return Selection(ConfiguredAirbyteCatalog(streams=streams), frozenset(chosen), schemas, warnings)


def _airbyte_selection(configured: list[ConfiguredAirbyteStream], discovered: AirbyteCatalog) -> Selection:
    known = {stream.name: stream for stream in discovered.streams}
    schemas: dict[str, Mapping[str, Any]] = {}
    warnings: list[str] = []
    for item in configured:
        name = item.stream.name
        if name not in known:
            raise CatalogError(
                f"catalog: there is no stream {name!r}. Run discover again and take it out of the catalog"
            )
        if name in schemas:
            raise CatalogError(f"catalog: the stream {name!r} is there twice. Leave one of them")
        whole = known[name].json_schema
        columns = (item.stream.json_schema or {}).get("properties")
        if not isinstance(columns, Mapping) or not columns:
            item.stream.json_schema = dict(whole)
        elif missing := [key for key in _keys(known[name]) if key not in columns]:
            warnings.append(
                f"catalog: {name}: its schema lacks its key {', '.join(missing)}, which is read all the same"
            )
            keys = {key: whole["properties"][key] for key in missing}
            item.stream.json_schema = {**item.stream.json_schema, "properties": {**keys, **columns}}
        schemas[name] = whole
        warnings += _other_cursor(item, known[name])
    return Selection(ConfiguredAirbyteCatalog(streams=configured), frozenset(schemas), schemas, warnings)


def _other_cursor(item: ConfiguredAirbyteStream, known: AirbyteStream) -> list[str]:
    """A warning where the catalog names another cursor than the stream's own.

    The Airbyte protocol has it ignored, since the source defines the cursor; a destination goes by it all the same.
    """
    own = known.default_cursor_field or []
    if item.sync_mode != SyncMode.incremental or not item.cursor_field or item.cursor_field == own:
        return []
    advice = f"Set it to {own[0]}, which the stream is read by" if own else "Leave it out"
    given = ".".join(map(str, item.cursor_field))
    return [f"catalog: {known.name}: the cursor_field {given} is not used for reading. {advice}"]


def _keys(stream: AirbyteStream) -> list[str]:
    return [path[0] for path in stream.source_defined_primary_key or []]


def _discovered_entry(stream: AirbyteStream, on_by_default: bool) -> dict[str, Any]:
    keys = _keys(stream)
    of_stream: dict[str, Any] = {
        "inclusion": "available",
        "selected-by-default": on_by_default,
        "table-key-properties": keys,
    }
    entry: dict[str, Any] = {
        "tap_stream_id": stream.name,
        "stream": stream.name,
        "key_properties": keys,
        "schema": copy.deepcopy(dict(stream.json_schema)),
    }
    if SyncMode.incremental not in (stream.supported_sync_modes or []):
        of_stream["forced-replication-method"] = FULL_TABLE
        entry["replication_method"] = FULL_TABLE
    else:
        entry["replication_method"] = INCREMENTAL
        if stream.default_cursor_field:
            of_stream["valid-replication-keys"] = list(stream.default_cursor_field)
            entry["replication_key"] = stream.default_cursor_field[0]
        else:
            # The stream's own state says how far it is, no column does.
            of_stream["valid-replication-keys"] = []
    metadata: list[dict[str, Any]] = [{"breadcrumb": [], "metadata": of_stream}]
    for column in stream.json_schema.get("properties", {}):
        inclusion = "automatic" if column in keys else "available"
        metadata.append(
            {
                "breadcrumb": ["properties", column],
                "metadata": {"inclusion": inclusion, "selected-by-default": True},
            }
        )
    entry["metadata"] = metadata
    if _stream_of(entry, of_stream) != stream:
        kept = AirbyteStreamSerializer.dump(stream)
        del kept["json_schema"]
        of_stream["airbyte"] = {"stream": kept}
    return entry


def _configured_entry(item: ConfiguredAirbyteStream) -> dict[str, Any]:
    entry = _discovered_entry(item.stream, True)
    of_stream = entry["metadata"][0]["metadata"]
    of_stream["selected"] = True
    of_stream["replication-method"] = FULL_TABLE if item.sync_mode == SyncMode.full_refresh else INCREMENTAL
    kept = ConfiguredAirbyteStreamSerializer.dump(item)
    del kept["stream"]["json_schema"]
    of_stream["airbyte"] = kept
    return entry


def _stream_of(
    entry: Mapping[str, Any], of_stream: Mapping[str, Any], known: AirbyteStream | None = None
) -> AirbyteStream:
    """The Airbyte stream of a Singer entry; of what the entry does not say, as the tap has it."""
    schema = copy.deepcopy(dict(entry.get("schema") or (known.json_schema if known else {})))
    kept = of_stream.get("airbyte")
    if isinstance(kept, Mapping) and isinstance(kept.get("stream"), Mapping):
        return _airbyte_stream({**kept["stream"], "name": _name(entry), "json_schema": schema})
    if known:
        stream = copy.copy(known)
        stream.json_schema = schema
        return stream
    incremental = "valid-replication-keys" in of_stream
    keys = of_stream.get("table-key-properties") or entry.get("key_properties") or []
    stream = AirbyteStream(
        name=_name(entry),
        json_schema=schema,
        supported_sync_modes=[
            SyncMode.full_refresh,
            *([SyncMode.incremental] if incremental else []),
        ],
        is_resumable=incremental,
    )
    if incremental:
        stream.source_defined_cursor = True
        stream.default_cursor_field = list(of_stream["valid-replication-keys"])
    if keys:
        stream.source_defined_primary_key = [[key] for key in keys]
    return stream


def _configured_of(
    stream: AirbyteStream,
    name: str,
    entry: Mapping[str, Any],
    of_stream: Mapping[str, Any],
    known: AirbyteStream,
) -> ConfiguredAirbyteStream:
    can = SyncMode.incremental in (known.supported_sync_modes or [])
    wanted = (
        of_stream.get("replication-method")
        or of_stream.get("forced-replication-method")
        or entry.get("replication_method")
        or (INCREMENTAL if can else FULL_TABLE)
    )
    mode = METHODS.get(str(wanted).upper())
    if mode is None:
        raise CatalogError(
            f"catalog: {name}: there is no replication-method {str(wanted)[:40]!r}. Set it to {FULL_TABLE} or "
            f"{INCREMENTAL}"
        )
    if mode == SyncMode.incremental and not can:
        raise CatalogError(
            f"catalog: the stream {name!r} can't be read incrementally. Set its replication-method to {FULL_TABLE}"
        )
    kept = of_stream.get("airbyte")
    if isinstance(kept, Mapping) and "sync_mode" in kept:
        configured = _configured({**kept, "stream": AirbyteStreamSerializer.dump(stream)})
        configured.sync_mode = mode
        return configured
    return _default_configured(stream, mode)


def _default_configured(stream: AirbyteStream, mode: SyncMode | None = None) -> ConfiguredAirbyteStream:
    can = SyncMode.incremental in (stream.supported_sync_modes or [])
    return ConfiguredAirbyteStream(
        stream=stream,
        sync_mode=mode or (SyncMode.incremental if can else SyncMode.full_refresh),
        destination_sync_mode=DestinationSyncMode.append_dedup,
        cursor_field=stream.default_cursor_field,
        primary_key=stream.source_defined_primary_key,
    )


def _configured(entry: Mapping[str, Any]) -> ConfiguredAirbyteStream:
    try:
        configured = ConfiguredAirbyteStreamSerializer.load(dict(entry))
    except Exception as error:
        raise CatalogError(
            f"catalog: not a configured stream of the Airbyte protocol: {_short(error)}. Make one with --discover"
        ) from None
    if not isinstance(configured.sync_mode, SyncMode):
        raise CatalogError(f"catalog: {configured.stream.name}: sync_mode must be full_refresh or incremental")
    return configured


def _airbyte_stream(entry: Mapping[str, Any]) -> AirbyteStream:
    try:
        return AirbyteStreamSerializer.load(dict(entry))
    except Exception as error:
        raise CatalogError(
            f"catalog: not a stream of the Airbyte protocol: {_short(error)}. Make one with --discover"
        ) from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _entries(singer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries: list[Mapping[str, Any]] = singer["streams"]
    return entries


def _name(entry: Mapping[str, Any]) -> str:
    name = entry.get("tap_stream_id") or entry.get("stream")
    if not isinstance(name, str):
        raise CatalogError("catalog: an entry has no tap_stream_id. Make one with --discover")
    return name


def _metadata(entry: Mapping[str, Any]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """The metadata of an entry by breadcrumb; the stream's own, (), is always there."""
    found: dict[tuple[str, ...], Mapping[str, Any]] = {(): {}}
    items = entry.get("metadata") or []
    if not isinstance(items, list):
        raise CatalogError(f"catalog: the metadata of {_name(entry)!r} is not a list. Make one with --discover")
    for item in items:
        breadcrumb = item.get("breadcrumb") if isinstance(item, Mapping) else None
        values = item.get("metadata") if isinstance(item, Mapping) else None
        if not isinstance(breadcrumb, list) or not isinstance(values, Mapping):
            raise CatalogError(
                f"catalog: an item of the metadata of {_name(entry)!r} has no breadcrumb list or no metadata object. "
                "Make one with --discover"
            )
        path = tuple(str(step) for step in breadcrumb)
        flags = {key: _flag(_name(entry), key, values[key], path) for key in FLAGS if key in values}
        found[path] = {**values, **flags}
    return found


def _flag(stream: str, key: str, value: Any, path: tuple[str, ...] = ()) -> bool | None:
    """A yes or no of the catalog, which some programs write as text; None: nothing is said."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    where = f"{key} of {'.'.join(path)}" if path else key
    raise CatalogError(f"catalog: {stream}: {where} is {value!r:.40}, set it to true or false")


def _leads_somewhere(schema: Any, path: tuple[str, ...]) -> bool:
    for step in path:
        if not isinstance(schema, Mapping) or step not in schema:
            return False
        schema = schema[step]
    return True


def _pruned(
    schema: Mapping[str, Any],
    metadata: Mapping[tuple[str, ...], Mapping[str, Any]],
    keys: frozenset[str],
    path: tuple[str, ...],
) -> dict[str, Any]:
    """The schema without the columns that are not selected, at any depth."""
    pruned = dict(schema)
    if isinstance(schema.get("properties"), Mapping):
        pruned["properties"] = {
            column: _pruned(of_column, metadata, frozenset(), (*path, "properties", column))
            if isinstance(of_column, Mapping)
            else of_column
            for column, of_column in schema["properties"].items()
            if column in keys or _is_selected(metadata.get((*path, "properties", column), {}))
        }
    if isinstance(schema.get("items"), Mapping):
        pruned["items"] = _pruned(schema["items"], metadata, frozenset(), (*path, "items"))
    return pruned


def _is_selected(metadata: Mapping[str, Any]) -> bool:
    if metadata.get("inclusion") == "automatic":
        return True
    if metadata.get("inclusion") == "unsupported":
        return False
    selected = metadata.get("selected")
    return bool(metadata.get("selected-by-default", True) if selected is None else selected)
