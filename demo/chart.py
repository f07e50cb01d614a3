"""An SVG bar chart of incidents by month and severity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from xml.sax.saxutils import escape

# From the highest severity to the lowest. More severities than colours reuse them.
COLOURS = ("#b4232a", "#e4602f", "#f2a93b", "#7fb2dd", "#a8b0ba")
WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 96, 52
BASELINE = HEIGHT - BOTTOM
BAR = 0.66  # the width of a bar, as a share of the width of a month

STYLE = """
.panel { fill: #ffffff; stroke: #d0d7de }
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #57606a }
.title { font-size: 18px; font-weight: 600; fill: #1f2328 }
.total { font-weight: 600; fill: #1f2328 }
.grid { stroke: #d0d7de; stroke-dasharray: 2 4 }
.axis { stroke: #8c959f }
@media (prefers-color-scheme: dark) {
  .panel { fill: #0d1117; stroke: #30363d }
  text { fill: #9198a1 }
  .title, .total { fill: #f0f6fc }
  .grid { stroke: #30363d }
  .axis { stroke: #6e7681 }
}
"""


def chart(title: str, severities: Sequence[str], months: Mapping[str, Sequence[int]]) -> str:
    """An SVG of stacked bars.

    Args:
        title: printed above the bars.
        severities: from the bottom of a bar to its top.
        months: the counts by severity for each month (`yyyy-mm`), in order.
    """
    highest = max((sum(counts) for counts in months.values()), default=0)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if highest <= 5 * step)
    top = step * max(1, -(-highest // step))
    unit = (BASELINE - TOP) / top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="panel" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>',
        f'<text class="title" x="{LEFT - 28}" y="36">{escape(title)}</text>',
        *_legend(severities),
        *(_grid_line(value, BASELINE - value * unit) for value in range(0, top + 1, step)),
    ]
    month_width = (WIDTH - LEFT - RIGHT) / max(1, len(months))
    year = ""
    for position, (month, counts) in enumerate(months.items()):
        middle = LEFT + (position + 0.5) * month_width
        parts += _bar(month, severities, counts, middle, BAR * month_width, unit)
        if month[:4] != year:
            year = month[:4]
            parts.append(f'<text x="{middle:.1f}" y="{BASELINE + 36}" text-anchor="middle">{year}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(severities: Sequence[str]) -> Iterator[str]:
    x = float(LEFT - 28)
    for position, severity in enumerate(severities):
        yield f'<rect x="{x:.0f}" y="54" width="12" height="12" rx="2" fill="{_colour(position)}"/>'
        yield f'<text x="{x + 18:.0f}" y="65">{escape(severity)}</text>'
        x += 44 + 7.4 * len(severity)


def _grid_line(value: int, y: float) -> str:
    return (
        f'<line class="{"grid" if value else "axis"}" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y + 4.5:.1f}" text-anchor="end">{value}</text>'
    )


def _bar(
    month: str, severities: Sequence[str], counts: Sequence[int], middle: float, width: float, unit: float
) -> Iterator[str]:
    """The stacked bar of a month with its total and its label."""
    y = float(BASELINE)
    for position, (severity, count) in enumerate(zip(severities, counts, strict=True)):
        if count:
            y -= count * unit
            yield (
                f'<rect x="{middle - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" '
                f'height="{count * unit:.1f}" fill="{_colour(position)}">'
                f"<title>{month}, {escape(severity)}: {count}</title></rect>"
            )
    yield f'<text class="total" x="{middle:.1f}" y="{y - 6:.1f}" text-anchor="middle">{sum(counts)}</text>'
    name = date.fromisoformat(f"{month}-01").strftime("%b")
    yield f'<text x="{middle:.1f}" y="{BASELINE + 19}" text-anchor="middle">{name}</text>'


def _colour(position: int) -> str:
    return COLOURS[position % len(COLOURS)]
