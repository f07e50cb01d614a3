"""Bodies of answers in CSV."""

import csv
import io
import re
from typing import Any

from source_incident.api.errors import UnexpectedAnswerError
from source_incident.json_limits import OBJECT_BYTES, JsonSize

# The objects that a record consists of.
ROW_BYTES = 3 * OBJECT_BYTES
ROWS = "rows"

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


class CsvSize(JsonSize):
    """The size of a CSV document that is read in chunks. Every line can become a record."""

    def add(self, chunk: bytes) -> None:
        super().add(chunk)
        self._elements += ROW_BYTES * (chunk.count(b"\n") + chunk.count(b"\r"))


def parse_csv(body: bytes | bytearray, size: JsonSize) -> dict[str, Any]:
    """Parse a CSV document.

    A column whose cells are all integers has integers, every other column has text. An empty cell is null.

    Args:
        body: the document, in UTF-8.
        size: its size.

    Returns:
        The rows under the key `rows`. Each is an object with the cells by column.

    Raises:
        UnexpectedAnswerError: it is no CSV, or its columns are not those of a table with integers.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnexpectedAnswerError(f"the answer is not valid CSV: {_reason(error)}") from None
    if not lines or lines[0][0].lstrip()[:1] in ("<", "{"):
        raise UnexpectedAnswerError("the answer is not CSV with a header")
    header, *rows = lines
    _check_header(header)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UnexpectedAnswerError(f"row {number} of the CSV has {len(row)} values and not {len(header)}")
    columns = [_column([row[index] for row in rows]) for index in range(len(header))]
    if rows and not any(isinstance(cell, int) for column in columns for cell in column):
        raise UnexpectedAnswerError("the CSV has no column of integers, so its columns are not the expected ones")
    return {ROWS: [dict(zip(header, cells, strict=True)) for cells in zip(*columns, strict=True)]}


def _check_header(header: list[str]) -> None:
    """Check the names of the columns. The errors do not repeat them: they can be data."""
    if len(header) < 2:
        raise UnexpectedAnswerError("the CSV has one column, and at least two were expected")
    names: dict[str, int] = {}
    for number, name in enumerate(header, start=1):
        if not name.strip():
            raise UnexpectedAnswerError(f"column {number} of the CSV has no name")
        if name in names:
            raise UnexpectedAnswerError(f"columns {names[name]} and {number} of the CSV have the same name")
        names[name] = number


def _column(cells: list[str]) -> list[Any]:
    is_integer = all(not cell or _INTEGER.fullmatch(cell) for cell in cells)
    return [None if not cell else int(cell) if is_integer else cell for cell in cells]


def _reason(error: Exception) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
