"""Make the list of streams for the docs from the declarations, the schemas and the contract.

    python -m tools.docs [--check]

Writes docs/streams.md, the table in README.md between `<!-- streams:begin -->` and
`<!-- streams:end -->`, and those in SECURITY.md between `<!-- scopes:begin -->` and
`<!-- scopes:end -->`, and `<!-- withheld:begin -->` and `<!-- withheld:end -->`. `--check` writes
nothing and exits 1 where one is stale.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from source_incident.streams import STREAMS
from source_incident.streams.base import ChildStream, CursorStream, IncidentStream
from tools.document import ROOT
from tools.schemas import CONTRACT, SCHEMAS, key_of, stream_name

STREAMS_PAGE = ROOT / "docs" / "streams.md"
README = ROOT / "README.md"
SECURITY = ROOT / "SECURITY.md"

INTRODUCTION = """\
# Streams

The {count} streams, by area of the product. Made by `python -m tools.docs` from the declarations in
`source_incident/streams/`, the schemas and the vendor's contract.

- **Scope**: what the API key needs. A stream that is read once a record of another one needs that
  one's scopes too; they are named here.
- **Incremental by parent**: what is read again are the records of those parents that changed since
  the bookmark, and of incidents that are still open.
- A column that can be null has a `?` after its type.

## What is never emitted

Values that give access to something are taken out of every record, nested ones too, in both
protocols. They are not in the schemas, so no catalog can bring them back.

{withheld}
"""


def page() -> str:
    """docs/streams.md."""
    areas: dict[str, list[type[IncidentStream]]] = defaultdict(list)
    for stream in STREAMS:
        areas[stream.__module__.rpartition(".")[2]].append(stream)
    parts = [INTRODUCTION.format(count=len(STREAMS), withheld=withheld_table().rstrip())]
    for area, streams in areas.items():
        parts.append(f"## {area.replace('_', ' ').capitalize()}\n")
        parts += [_section(stream) for stream in streams]
    return "\n".join(parts).rstrip() + "\n"


def table() -> str:
    """The README's table: a line a stream."""
    head = "| stream | what it has | key | replication |\n| --- | --- | --- | --- |\n"
    rows = []
    for stream in STREAMS:
        name = stream_name(stream)
        off = "" if stream.selected_by_default else " (off by default)"
        rows.append(
            f"| [`{name}`](docs/streams.md#{name}){off} | {_summary(stream)} "
            f"| {_fields(key_of(stream))} | {replication(stream)} |\n"
        )
    return head + "".join(rows)


def withheld_table() -> str:
    """What is never emitted: a line a field."""
    return "| stream | field | why |\n| --- | --- | --- |\n" + "".join(
        f"| `{stream_name(stream)}` | `{path}` | {reason} |\n"
        for stream in STREAMS
        for path, reason in _withheld(stream).items()
    )


def least_scopes() -> dict[str, list[str]]:
    """What a key needs to read the default streams, nested columns included: scope to those streams."""
    by_name = {stream_name(stream): stream for stream in STREAMS}
    needed: dict[str, list[str]] = {}
    for stream in STREAMS:
        if stream.selected_by_default:
            read = [stream, *(by_name[nested] for nested in stream.nested.values())]
            for scope in dict.fromkeys(scope for one in read for scope in scopes(one)):
                needed.setdefault(scope, []).append(stream_name(stream))
    return dict(sorted(needed.items()))


def scopes_table() -> str:
    """SECURITY.md's table: a line a scope."""
    return "| scope | default streams that need it |\n| --- | --- |\n" + "".join(
        f"| `{scope}` | {_fields(streams)} |\n" for scope, streams in least_scopes().items()
    )


def replication(stream: type[IncidentStream]) -> str:
    """How a stream is read, in the docs' words."""
    if issubclass(stream, CursorStream):
        how = "" if stream.filtered_by_api else ", compared by the connector"
        return f"incremental by `{stream.cursor_field}`{how}"
    if not issubclass(stream, ChildStream):
        return "full table"
    parent = f"`{stream_name(stream.parent)}`"
    if stream.by_parent:
        return f"incremental by parent, {parent}"
    return f"full table, for each of {parent}"


def scopes(stream: type[IncidentStream]) -> list[str]:
    """The scopes that a key needs for a stream and the parents above it; empty: any key will do."""
    found = dict.fromkeys(_scopes_by_endpoint()[_shape(stream.endpoint)])
    if issubclass(stream, ChildStream):
        found |= dict.fromkeys(scopes(stream.parent))
    return list(found)


def files() -> dict[Path, str]:
    """Every generated file: its path and what it should hold.

    Raises `ValueError` where one has no place for a table.
    """
    return {
        STREAMS_PAGE: page(),
        README: _with_tables(README, streams=table()),
        SECURITY: _with_tables(SECURITY, scopes=scopes_table(), withheld=withheld_table()),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or check them; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    options = parser.parse_args(arguments)
    stale = {
        path: content
        for path, content in files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    }
    for path, content in stale.items():
        print(f"{path.relative_to(ROOT)} {'is stale' if options.check else 'written'}")
        if not options.check:
            path.write_text(content, encoding="utf-8")
    return 1 if stale and options.check else 0


def _with_tables(path: Path, **tables: str) -> str:
    text = path.read_text(encoding="utf-8")
    for name, content in tables.items():
        place = re.compile(rf"(?<=<!-- {name}:begin -->\n).*?(?=<!-- {name}:end -->)", re.DOTALL)
        text, places = place.subn(lambda _, content=content: content, text)
        if places != 1:
            raise ValueError(f"{path.name} has no place, or several, for the table of {name}")
    return text


def _section(stream: type[IncidentStream]) -> str:
    name = stream_name(stream)
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    needed = _fields(scopes(stream)) or "any key will do"
    facts = [
        f"- Key: {_fields(key_of(stream))}",
        f"- Replication: {replication(stream)}",
        f"- Scope: {needed}",
        f"- API: `GET {stream.endpoint}`",
    ]
    if stream.nested:
        facts.append(f"- Nested: {_nested(stream)}")
    if withheld := _withheld(stream):
        facts.append(f"- Never emitted: {_fields(list(withheld))}")
    if not stream.selected_by_default:
        facts.append("- Off by default")
    columns = "".join(
        f"| `{column}` | {_type(described)} |\n" for column, described in sorted(schema["properties"].items())
    )
    return (
        f"### {name}\n\n{inspect.getdoc(stream)}\n\n"
        + "\n".join(facts)
        + f"\n\n| column | type |\n| --- | --- |\n{columns}"
    )


def _nested(stream: type[IncidentStream]) -> str:
    """What each nested column is read from, and what a key needs for it."""
    by_name = {stream_name(other): other for other in STREAMS}
    columns = [
        f"`{column}` has the `{nested}`, for which a key needs {_fields(scopes(by_name[nested]))}"
        for column, nested in stream.nested.items()
    ]
    return "; ".join(columns)


@cache
def _scopes_by_endpoint() -> Mapping[str, list[str]]:
    endpoints = json.loads(CONTRACT.read_text(encoding="utf-8"))["endpoints"]
    return {_shape(path): endpoint["scopes"] for path, endpoint in endpoints.items()}


def _withheld(stream: type[IncidentStream]) -> Mapping[str, str]:
    withheld: Mapping[str, str] = dict(stream.credentials)
    return withheld


def _summary(stream: type[IncidentStream]) -> str:
    paragraph, _, _ = (inspect.getdoc(stream) or "").partition("\n\n")
    return " ".join(paragraph.split())


def _fields(fields: list[str]) -> str:
    return ", ".join(f"`{field}`" for field in fields)


def _type(schema: Mapping[str, Any]) -> str:
    declared = schema["type"]
    kinds = [declared] if isinstance(declared, str) else declared
    kind = next(kind for kind in kinds if kind != "null")
    if schema.get("format") == "date-time":
        kind = "timestamp"
    elif kind == "array":
        kind = f"array of {_type(schema['items'])}"
    return f"{kind}?" if "null" in kinds else kind


def _shape(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


if __name__ == "__main__":
    sys.exit(main())
