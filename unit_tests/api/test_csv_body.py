"""CSV bodies: what is parsed, what is refused, and how much memory is reserved."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.api import UnexpectedAnswerError
from source_incident.api.csv_body import CsvSize, parse_csv

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
INTEGERS = st.integers(-(10**18) + 1, 10**18 - 1)


def written(rows: list[list[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


@given(st.lists(st.tuples(TEXT, INTEGERS), max_size=20))
def test_the_cells_are_those_that_were_written(rows: list[tuple[str, int]]) -> None:
    body = written([["Name", "Seconds"], *map(list, rows)])
    parsed = parse_csv(body, CsvSize())["rows"]
    assert [row["Seconds"] for row in parsed] == [seconds for _, seconds in rows]
    # A column of which every cell is an integer has integers.
    assert [str(row["Name"]) if row["Name"] is not None else "" for row in parsed] == [name for name, _ in rows]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2", "0"], [1, -2, 0]),
        (["1", "", "3"], [1, None, 3]),
        (["1", "2.5"], ["1", "2.5"]),
        (["007", "1"], ["007", "1"]),
        (["£1,000.00"], ["£1,000.00"]),
        (["9" * 19], ["9" * 19]),
        (["+1"], ["+1"]),
        (["\u0661"], ["\u0661"]),
    ],
)
def test_a_column_has_integers_only_if_all_its_cells_are(cells: list[str], expected: list[object]) -> None:
    body = written([["Name", "Seconds"], *([cell, 1] for cell in cells)])
    assert [row["Name"] for row in parse_csv(body, CsvSize())["rows"]] == expected


def test_a_byte_order_mark_and_empty_lines_are_skipped() -> None:
    assert parse_csv(b"\xef\xbb\xbfName,Pay\r\n\r\nAda,1\r\n", CsvSize()) == {"rows": [{"Name": "Ada", "Pay": 1}]}
    assert parse_csv(b"Name,Pay\n", CsvSize()) == {"rows": []}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not CSV with a header"),
        (b"<html><body>Sign in,please</body></html>", "not CSV with a header"),
        (b'{"type": "error", "status": 500}', "not CSV with a header"),
        (b"Name\nAda\n", "one column"),
        (b"Name,\nAda,1\n", "column 2 of the CSV has no name"),
        (b"Pay,Name,Pay\n1,Ada,1\n", "columns 1 and 3 of the CSV have the same name"),
        (b"Name,Pay\nAda,1\nBob\n", "row 3 of the CSV has 1 values and not 2"),
        (b"Name,Pay\nAda,GBP 1\n", "no column of integers"),
        (b'Name,Pay\nAda,"1\n', "not valid CSV"),
        (b"Name,Pay\nAd\xff,1\n", "not UTF-8"),
    ],
)
def test_an_answer_with_other_columns_is_refused_with_one_line(body: bytes, problem: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match=problem) as raised:
        parse_csv(body, CsvSize())
    assert "\n" not in raised.value.message
    assert "Ada" not in raised.value.message


@pytest.mark.parametrize("row", [b"a,1\n", b",1\r", b"Ada Lovelace,\xc2\xa31.00,100,1h,3600\n", b'"a\nb",1\n'])
def test_the_reserved_memory_holds_the_records(row: bytes) -> None:
    header = b",".join(b"c%d" % number for number in range(row.count(b",") + 1)) + b"\n"
    body, size = header + row * 5000, CsvSize()
    size.add(body)
    tracemalloc.start()
    parsed = parse_csv(body, size)["rows"]
    records = [{"values": values, "position": number, "pay_report_id": "01R"} for number, values in enumerate(parsed)]
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(records) == 5000
    assert used < size.memory
