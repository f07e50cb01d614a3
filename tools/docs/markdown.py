"""Markdown: tables, lists of names, and tables inside a written page."""

import re
from collections.abc import Iterable, Mapping, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. The first cell of a row can contain `|`, which is escaped."""
    lines = [head, ["---"] * len(head), *([first.replace("|", "\\|"), *rest] for first, *rest in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def names(values: Iterable[str]) -> str:
    """Names as inline code, separated by commas."""
    return ", ".join(f"`{value}`" for value in values)


def insert_tables(text: str, tables: Mapping[str, str]) -> str:
    """A page with each table between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.

    Raises:
        ValueError: the page has no place, or several places, for a table.
    """
    for name, content in tables.items():
        place = re.compile(rf"(?<=<!-- {name}:begin -->\n).*?(?=<!-- {name}:end -->)", re.DOTALL)
        text, places = place.subn(content.replace("\\", r"\\"), text)
        if places != 1:
            raise ValueError(f"the page has {places} places for the table {name!r}, not one")
    return text
