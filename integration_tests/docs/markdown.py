"""The documents, parsed as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from integration_tests.support.tap import ROOT

DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for pattern in ("*.md", "docs/*.md") for path in ROOT.glob(pattern)
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and its first line."""

    language: str
    text: str
    line: int


def tokens(document: str) -> Iterator[Token]:
    """All tokens of a document, inline tokens included."""
    for token in MarkdownIt("commonmark").enable("table").parse((ROOT / document).read_text(encoding="utf-8")):
        yield token
        yield from token.children or []


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a document, in order."""
    return [
        Block(token.info.strip(), token.content, (token.map or [0])[0] + 1)
        for token in tokens(document)
        if token.type == "fence"
    ]


def links(document: str) -> list[str]:
    """The targets of the links and images of a document."""
    found = [token.attrGet("href") or token.attrGet("src") for token in tokens(document)]
    return [str(link) for link in found if link]


@cache
def headings(path: Path) -> set[str]:
    """The anchors that GitHub generates for the headings of a document."""
    found = set()
    previous: Token | None = None
    for token in tokens(path.relative_to(ROOT).as_posix()):
        if previous is not None and previous.type == "heading_open":
            text = "".join(child.content for child in token.children or [])
            kept = "".join(letter for letter in text.lower() if letter.isalnum() or letter in " -_")
            found.add(kept.replace(" ", "-"))
        previous = token
    return found


def tables(document: str) -> list[list[dict[str, str]]]:
    """The tables of a document: for each, its rows, with the Markdown of each cell by column heading."""
    found: list[list[dict[str, str]]] = []
    heading: list[str] = []
    cells: list[str] = []
    kind = ""
    for token in tokens(document):
        if token.type == "table_open":
            found.append([])
        elif token.type in ("thead_open", "tbody_open"):
            kind = token.type
        elif token.type == "tr_open":
            cells = []
        elif token.type == "inline" and token.level > 0 and kind:
            cells.append(token.content)
        elif token.type == "tr_close":
            if kind == "thead_open":
                heading = cells
            else:
                found[-1].append(dict(zip(heading, cells, strict=True)))
        elif token.type == "table_close":
            kind = ""
    return found
