"""The table of docs/reliability.md: a row a fault, made by the test run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from integration_tests.support.tap import ROOT

DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: what was done.
        happened: what came of it.
        test: the test that saw it.
        rule: what holds for all of the test's faults.
    """

    fault: str
    happened: str
    test: str
    rule: str

    def __str__(self) -> str:
        return (
            "| " + " | ".join(cell.replace("|", "\\|") for cell in (self.fault, self.happened, f"`{self.test}`")) + " |"
        )


def rows() -> set[str]:
    """The lines of the rows in the document."""
    inside = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    return {
        line for line in inside.splitlines() if line.startswith("| ") and not line.startswith(("| fault |", "| --- |"))
    }


def tests() -> set[str]:
    """The tests that the document names."""
    return {line.removesuffix("` |").rpartition("| `")[2] for line in rows()}


def write(found: list[Row]) -> None:
    """Puts the rows into the document, a table for each test function, in the order of the run."""
    tables = []
    for function, group in groupby(found, lambda row: row.test.partition("[")[0]):
        lines = list(group)
        title = function.removeprefix("test_").replace("_", " ").replace(" api", " API").replace("http ", "HTTP ")
        title = title[0].upper() + title[1:]
        head = [f"### {title}\n", lines[0].rule + "\n", "| fault | what happened | test |", "| --- | --- | --- |"]
        tables.append("\n".join([*head, *map(str, lines)]))
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(tables) + f"\n\n{END}{after}")
