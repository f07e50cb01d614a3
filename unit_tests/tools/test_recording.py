"""The pictures in docs/ and the recording of the demo."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.text import Text

from source_incident.streams import STREAMS
from source_incident.streams.base import stream_name
from tools import recording
from tools.generated import ROOT

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = sorted((ROOT / "docs").glob("*.svg"))
MAX_BYTES = 60_000


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_picture_is_small_labelled_and_self_contained(path: Path) -> None:
    svg = path.read_text(encoding="utf-8")
    assert len(svg.encode()) < MAX_BYTES
    root = ElementTree.fromstring(svg)  # noqa: S314
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"]
    assert {element.tag for element in root.iter()}.isdisjoint({f"{SVG}{tag}" for tag in ("script", "image", "use")})
    assert re.findall(r"(?:href|src)=|@import|url\((?!#)", svg) == []


def test_every_picture_is_in_the_readme() -> None:
    assert {"demo.svg", "incidents.svg", "way.svg"} <= {path.name for path in PICTURES}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in PICTURES if f"](docs/{path.name})" not in readme] == []


def test_recording_shows_the_questions_and_streams_of_the_demo() -> None:
    shown = texts((ROOT / "docs" / "demo.svg").read_text(encoding="utf-8"))
    questions = [file.read_text().splitlines()[0].removeprefix("-- ") for file in (ROOT / "demo/answers").glob("*.sql")]
    assert questions
    assert set(questions) <= set(shown), "run: make recording"
    default = {stream_name(stream) for stream in STREAMS if stream.selected_by_default}
    assert default <= set(shown), "run: make recording"


def test_lines_appear_in_order_and_all_are_shown_at_the_end() -> None:
    many = [Text("The mock API"), *(Text(f"line {n}  cell <{n}>") for n in range(2 * recording.ROWS))]
    svg = recording.recording(recording.timed(many))
    assert texts(svg)[0] == "$ make demo"
    assert texts(svg)[-2:] == [f"line {len(many) - 2}", f"cell <{len(many) - 2}>"]
    stops = {
        name: [
            (float(at), int(down)) for at, down in re.findall(r"([\d.]+)% \{ transform: translateY\((-?\d+)px", body)
        ]
        for name, body in re.findall(r"@keyframes (\w+) \{ (.*) \}", svg)
    }
    for name, direction in (("curtain", 1), ("scroll", -1)):
        times, positions = zip(*stops[name], strict=True)
        assert times == tuple(sorted(times))
        assert all(0 <= at < 100 for at in times)
        assert positions == tuple(sorted(positions, key=lambda position: direction * position))
    rows = len(many) + 1
    assert stops["curtain"][-1][1] == rows * recording.LINE
    assert stops["scroll"][-1][1] == -(rows - recording.ROWS) * recording.LINE


def test_short_output_does_not_scroll() -> None:
    svg = recording.recording(recording.timed([Text("one"), Text("two")]))
    assert "translateY(-0px)" in svg
    assert texts(svg) == ["$ make demo", "one", "two"]


def test_words_keep_their_column_and_style() -> None:
    line = Text.from_ansi("\x1b[1mHow many?\x1b[0m  \x1b[2mrows\x1b[0m")
    root = ElementTree.fromstring(recording.recording(recording.timed([line])))  # noqa: S314
    _, many, rows = root.iter(f"{SVG}text")
    assert (many.attrib["class"], rows.attrib["class"]) == ("bold", "dim")
    assert float(rows.attrib["x"]) == pytest.approx(11 * recording.CELL, abs=0.1)
