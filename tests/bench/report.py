"""What every benchmark ends with: a table, the bars it was held to, a JSON file and a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.sax.saxutils import escape

FOLDER = Path(".bench")
BAR_PX, ROW_PX, LEFT_PX, WIDTH_PX = 22, 34, 260, 760


@dataclass(frozen=True, slots=True)
class Bar:
    """Something a benchmark promises: what, the figure seen, and whether that keeps the promise."""

    promise: str
    seen: str
    is_met: bool


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same keys, as aligned columns."""
    names = list(rows[0])
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def finish(
    name: str,
    rows: Sequence[Mapping[str, object]],
    bars: Sequence[Bar],
    plot: Mapping[str, float],
    unit: str,
    details: Mapping[str, object] | None = None,
) -> int:
    """Print and write everything; the exit code is 1 when a bar was missed. ``details`` are for the JSON."""
    FOLDER.mkdir(exist_ok=True)
    print(table(rows), end="\n\n")
    for bar in bars:
        print(f"{'met   ' if bar.is_met else 'MISSED'}  {bar.promise}: {bar.seen}")
    result = {"rows": list(rows), "bars": [asdict(bar) for bar in bars], **(details or {})}
    (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    (FOLDER / f"{name}.svg").write_text(bar_chart(name, plot, unit))
    print(f"\nWritten to {FOLDER / name}.json and {FOLDER / name}.svg")
    return 0 if all(bar.is_met for bar in bars) else 1


def bar_chart(title: str, values: Mapping[str, float], unit: str) -> str:
    """A horizontal bar a value, as SVG."""
    longest = max(values.values(), default=0) or 1
    rows = []
    for row, (label, value) in enumerate(values.items()):
        top = 50 + row * ROW_PX
        width = value / longest * (WIDTH_PX - LEFT_PX - 110)
        rows.append(
            f'<text x="{LEFT_PX - 10}" y="{top + 16}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{LEFT_PX}" y="{top}" width="{width:.1f}" height="{BAR_PX}" fill="#0f6e6e"/>'
            f'<text x="{LEFT_PX + width + 8:.1f}" y="{top + 16}">{value:.3g} {escape(unit)}</text>'
        )
    height = 60 + len(values) * ROW_PX
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height}" font-family="sans-serif" '
        f'font-size="14"><rect width="100%" height="100%" fill="#faf9f6"/>'
        f'<text x="20" y="28" font-size="17">{escape(title)}</text>{"".join(rows)}</svg>\n'
    )
