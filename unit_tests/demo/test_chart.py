"""The demo's chart."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from demo.chart import COLOURS, chart

SVG = "{http://www.w3.org/2000/svg}"
SEVERITIES = ["Critical", "So <so>"]


def bars(svg: str) -> dict[tuple[str, str], ElementTree.Element]:
    """The bar segments by month and severity."""
    found = {}
    for rect in ElementTree.fromstring(svg).iter(f"{SVG}rect"):  # noqa: S314
        if (title := rect.find(f"{SVG}title")) is not None and title.text:
            month, severity, _ = re.split(", |: ", title.text)
            found[month, severity] = rect
    return found


def test_bars_are_stacked_with_heights_proportional_to_the_counts() -> None:
    drawn = bars(chart("Incidents", SEVERITIES, {"2026-12": [2, 6], "2027-01": [0, 3]}))
    assert set(drawn) == {("2026-12", "Critical"), ("2026-12", "So <so>"), ("2027-01", "So <so>")}
    heights = {key: float(rect.attrib["height"]) for key, rect in drawn.items()}
    unit = heights["2026-12", "Critical"] / 2
    assert heights["2026-12", "So <so>"] == pytest.approx(6 * unit, abs=0.2)
    assert heights["2027-01", "So <so>"] == pytest.approx(3 * unit, abs=0.2)
    low, high = drawn["2026-12", "Critical"], drawn["2026-12", "So <so>"]
    assert float(high.attrib["y"]) + heights["2026-12", "So <so>"] == pytest.approx(float(low.attrib["y"]), abs=0.2)
    assert low.attrib["fill"] != high.attrib["fill"]


def test_year_is_printed_at_its_first_month() -> None:
    svg = chart("Incidents", SEVERITIES, {"2026-11": [1, 1], "2026-12": [1, 1], "2027-01": [1, 1]})
    assert re.findall(r">(Nov|Dec|Jan|2026|2027)<", svg) == ["Nov", "2026", "Dec", "Jan", "2027"]


@pytest.mark.parametrize("highest", [0, 1, 5, 6, 19, 4999])
def test_every_element_is_inside_the_picture(highest: int) -> None:
    root = ElementTree.fromstring(chart("Incidents", ["Critical"], {"2026-12": [highest]}))  # noqa: S314
    height = float(root.attrib["height"])
    lines = root.findall(f"{SVG}line")
    assert 2 <= len(lines) <= 6
    for element in [*root.iter(f"{SVG}rect"), *lines]:
        assert 0 <= float(element.get("y", element.get("y1", "0"))) <= height


def test_chart_without_incidents_has_no_bars() -> None:
    assert bars(chart("Incidents", [], {})) == {}


def test_draws_more_severities_than_colours() -> None:
    many = [f"Severity {n}" for n in range(len(COLOURS) + 2)]
    assert len(bars(chart("Incidents", many, {"2026-12": [1] * len(many)}))) == len(many)
