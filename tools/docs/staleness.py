"""The table of docs/reliability.md that says how late a change or a delete arrives, from the declarations."""

from collections import defaultdict

from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream, record_schema, stream_name
from source_incident.streams.kinds import ChildStream, ClientFilteredStream, IncrementalStream
from tools.docs.markdown import names, table

NEXT = "next sync"
FULL_READ = "next full read"
NEVER = "never"

Row = tuple[str, str, str, str, str]


def staleness_table() -> str:
    """One row per way of reading, with the streams that are read so."""
    streams_by_row: dict[Row, list[str]] = defaultdict(list)
    for stream in STREAMS:
        streams_by_row[row(stream)].append(stream_name(stream))
    header = (
        "streams",
        "how they are read",
        "a change that the filter sees",
        "any other change",
        "a deleted row, Singer",
        "a deleted row, Airbyte",
    )
    return table(header, [(names(streams), *cells) for cells, streams in streams_by_row.items()])


def row(stream: type[IncidentStream]) -> Row:
    """How a stream is read, and when a change and a delete arrive. docs/reliability.md explains the words."""
    if stream.month_parameters:
        return ("the last 12 months and the current one, at every sync", NEXT, NEXT, NEVER, f"{NEXT}, with Overwrite")
    if stream.window_parameters:
        return ("a window around every sync", NEXT, NEXT, NEVER, f"{NEXT}, with Overwrite")
    if issubclass(stream, ChildStream) and stream.uses_root_cursor:
        other = f"{NEXT}; {FULL_READ} for groups" if stream.parent_query else FULL_READ
        return (_by_parent(stream), NEXT, other, FULL_READ, NEVER)
    if issubclass(stream, IncrementalStream):
        if stream.minimum_lookback:
            days = f"{stream.minimum_lookback.days} days"
            how = f"by `{stream.cursor_field}`, each record for {days} after it"
        else:
            how = f"by `{stream.cursor_field}`"
        return (how, NEXT, FULL_READ, FULL_READ, NEVER)
    if issubclass(stream, ClientFilteredStream):
        return (f"by `{stream.cursor_field}`, filtered by the connector", NEXT, FULL_READ, FULL_READ, NEVER)
    if issubclass(stream, ChildStream):
        return ("in full, by parent, at every sync", NEXT, NEXT, NEXT, _overwrite())
    # A table with a column named `version` can't take ACTIVATE_VERSION (deploying.md).
    return ("in full at every sync", NEXT, NEXT, NEVER if _has_version(stream) else NEXT, _overwrite())


def _has_version(stream: type[IncidentStream]) -> bool:
    return "version" in record_schema(stream_name(stream))["properties"]


def _by_parent(stream: type[ChildStream]) -> str:
    root = stream.root()
    changed = f"for the records of `{stream_name(root)}` that changed"
    if stream.parent_query:
        return f"for all records of `{stream_name(root)}` that have any, at every sync; for groups {changed}"
    return f"{changed} or are open" if root.open_parent_query else changed


def _overwrite() -> str:
    return f"{NEXT}, with Overwrite"
