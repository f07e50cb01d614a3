"""The demo runs, and its output, database and chart agree."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import duckdb

from integration_tests.support.tap import ROOT

SECONDS = 120


def test_demo_prints_query_results_and_draws_the_first_one() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    (picture,) = re.findall(r"demo/\S+\.svg", ran.stdout)
    (database,) = re.findall(r"demo/\S+\.duckdb", ran.stdout)
    (query,) = (ROOT / "demo" / "answers").glob("1-*.sql")
    with duckdb.connect(str(ROOT / database), read_only=True) as tables:
        answer = tables.sql(query.read_text())
        severities = answer.columns[1:]
        counts = {row[0]: dict(zip(severities, row[1:], strict=True)) for row in answer.fetchall()}
    drawn = re.findall(r"<title>(\d{4}-\d\d), (.+): (\d+)</title>", (ROOT / picture).read_text())
    assert drawn
    assert {(month, severity): int(count) for month, severity, count in drawn} == {
        (month, severity): count for month, row in counts.items() for severity, count in row.items() if count
    }
    for file in (ROOT / "demo" / "answers").glob("*.sql"):
        assert file.read_text().splitlines()[0].removeprefix("-- ") in ran.stdout
    assert ElementTree.parse(ROOT / picture).getroot().tag.endswith("svg")  # noqa: S314
