"""Run the demo and write its pictures: docs/demo.svg animates its output, docs/incidents.svg is its chart.

    python -m tools.recording

The lines come from a real run. The timing of the animation is made up, and the duration of the run is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rich.console import Console
from rich.style import Style
from rich.text import Text

from tools.generated import ROOT

RECORDING = ROOT / "docs" / "demo.svg"
PICTURE = ROOT / "docs" / "incidents.svg"
COLUMNS, ROWS = 80, 26
CELL, LINE = 8.4, 19  # pixels: a character's width, a line's height
PADDING, HEAD = 18, 38
COMMAND = "make demo"

_console = Console()

# Seconds: pause before a line that matches the pattern, between other lines, and at the end before a replay.
TYPING = 1.4
PAUSES = {"The mock API": 1.2, r"\$ tap-incident": 1.0, r"\d+ streams": 2.2, "How ": 3.2, "Who ": 3.2, "Chart of": 2.6}
STEP, END = 0.035, 6.0

STYLE = """
svg { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d7dde5 }
text { white-space: pre }
.bold { font-weight: 600; fill: #ffffff }
.dim { fill: #8b96a5 }
.prompt { fill: #6cc18f }
"""


@dataclass(frozen=True)
class Line:
    """A line of the output and the second at which it appears."""

    text: Text
    at: float


def transcript() -> list[Text]:
    """The output of `make demo`, line by line, without the values that change between runs: port and duration."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    ran = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    stable = re.sub(r"\d+ seconds\. ", "", re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", ran.stdout))
    return [Text.from_ansi(line.rstrip()) for line in stable.splitlines()]


def timed(lines: Iterable[Text]) -> list[Line]:
    """The lines with the time at which each one appears."""
    now = TYPING
    timed_lines = []
    for text in lines:
        now += next((pause for begin, pause in PAUSES.items() if re.match(begin, text.plain)), STEP)
        timed_lines.append(Line(text, now))
    return timed_lines


def recording(lines: list[Line]) -> str:
    """The animated SVG. The lines scroll once the window is full. Viewers without animation show the end."""
    duration = lines[-1].at + END
    width = round(2 * PADDING + COLUMNS * CELL)
    height = HEAD + ROWS * LINE + PADDING
    rows = len(lines) + 1
    end = LINE * max(0, rows - ROWS)
    # A rectangle in the background colour covers the lines that have not appeared yet.
    curtain = [(0.0, LINE), *((line.at, LINE * (position + 2)) for position, line in enumerate(lines))]
    scroll = [(0.0, 0), *((at, -max(0, down - LINE * ROWS)) for at, down in curtain[1:])]
    body = [_line(Text(f"$ {COMMAND}"), 0)] + [_line(line.text, position) for position, line in enumerate(lines, 1)]
    typed = len(COMMAND)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" \
aria-label="A terminal that runs make demo">
<title>make demo: sync a made-up company's incident.io into DuckDB and query it</title>
<style>{STYLE}\
.scroll {{ transform: translateY(-{end}px); animation: scroll {duration:.1f}s step-end infinite }}
.curtain {{ transform: translateY({rows * LINE}px); animation: curtain {duration:.1f}s step-end infinite }}
.typing {{ transform: translateX({typed * CELL:.1f}px); animation: typing {duration:.1f}s steps({typed}) infinite }}
@keyframes scroll {{ {_keyframes(scroll, duration)} }}
@keyframes curtain {{ {_keyframes(curtain, duration)} }}
@keyframes typing {{ 0% {{ transform: none }} \
{100 * TYPING / 2 / duration:.2f}%, 100% {{ transform: translateX({typed * CELL:.1f}px) }} }}
@media (prefers-reduced-motion: reduce) {{ .scroll, .curtain, .typing {{ animation: none }} }}
</style>
<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" fill="#161b22" stroke="#3d444d"/>
<circle cx="22" cy="19" r="5.5" fill="#ec6a5e"/><circle cx="40" cy="19" r="5.5" fill="#f4bf4f"/>\
<circle cx="58" cy="19" r="5.5" fill="#61c554"/>
<svg x="{PADDING}" y="{HEAD}" width="{width - 2 * PADDING}" height="{ROWS * LINE}" overflow="hidden">
<g class="scroll">
{"".join(body)}\
<rect class="typing" x="{2 * CELL:.1f}" width="{typed * CELL:.1f}" height="{LINE}" fill="#161b22"/>
<rect class="curtain" width="100%" height="{rows * LINE}" fill="#161b22"/>
</g>
</svg>
</svg>
"""


def main() -> int:
    """Run the demo, write both files and return the exit code."""
    RECORDING.write_text(recording(timed(transcript())), encoding="utf-8")
    shutil.copy(ROOT / "demo" / "incidents-by-severity.svg", PICTURE)
    for path in (RECORDING, PICTURE):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes")
    return 0


def _keyframes(steps: Iterable[tuple[float, int]], duration: float) -> str:
    """The keyframes of an animation: one for each change of the value."""
    stops: dict[str, int] = {}
    last = None
    for at, down in steps:
        if down != last:
            stops[f"{100 * at / duration:.2f}%"] = down
        last = down
    return " ".join(f"{stop} {{ transform: translateY({down}px) }}" for stop, down in stops.items())


def _line(text: Text, row: int) -> str:
    """The SVG text of a line: every word at its column and with a fixed width, so that columns align in every font."""
    words = []
    for match in re.finditer(r"\S+(?: \S+)*", text.plain):
        style = text.get_style_at_offset(_console, match.start())
        kind = _kind(style, match[0])
        words.append(
            f'<text x="{match.start() * CELL:.1f}" y="{row * LINE + 14}" '
            f'textLength="{len(match[0]) * CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
            f"{kind}>{escape(match[0])}</text>\n"
        )
    return "".join(words)


def _kind(style: Style, word: str) -> str:
    if word.startswith("$ "):
        return ' class="prompt"'
    if style.bold:
        return ' class="bold"'
    return ' class="dim"' if style.dim else ""


if __name__ == "__main__":
    sys.exit(main())
