"""Horizontal bars as an SVG picture."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

WIDTH, BAR, GAP, LABELS, NUMBERS = 720, 22, 8, 190, 90  # in pixels


def write_bars(path: Path, title: str, values: Mapping[str, float], unit: str) -> None:
    """Draws one bar a value, the smallest on top.

    Args:
        path: the SVG file.
        title: stands above.
        values: label -> length, not negative.
        unit: stands behind each number.
    """
    largest = max(*values.values(), 1e-9)
    rows = []
    for index, (label, value) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        top = 34 + index * (BAR + GAP)
        length = (WIDTH - LABELS - NUMBERS) * value / largest
        colour = "#1b6ca8" if label.startswith("halfbyte") else "#b8b8b8"
        middle = top + BAR * 0.7
        number = f"{value:.3g} {escape(unit)}"
        rows += [
            f'<text x="{LABELS - 8}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{middle:.0f}">{number}</text>',
        ]
    height = 34 + len(values) * (BAR + GAP)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">'
    )
    heading = f'<text x="4" y="18" font-weight="bold">{escape(title)}</text>'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, heading, *rows, "</svg>", ""]), encoding="utf-8")
