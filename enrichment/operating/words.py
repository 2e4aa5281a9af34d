"""Rows, times and foreign words as an operator reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
SHOWN_CHARACTERS = 60


def moment(at: float | None) -> str:
    """Unix seconds as a person reads them."""
    return "-" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def age(seconds: float) -> str:
    """A length of time in its largest sensible unit."""
    for unit, length in (("d", DAY_S), ("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def counted(count: int, what: str) -> str:
    """``1 turn``, ``2 turns``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def printable(text: str) -> str:
    """``text`` as one line that can do nothing to a terminal: no escapes, no turned direction."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def short(text: str | None) -> str:
    """A reason or a fault, cut to what a table has room for."""
    shown = printable(text or "-")
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 1]}…"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """The rows under their headings; numbers stand to the right."""
    cells = [headings, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headings))]
    yield _line(headings, widths, headings)
    yield _line(["-" * width for width in widths], widths, headings)
    for row in rows:
        yield _line([str(cell) for cell in row], widths, row)


def _line(cells: Sequence[str], widths: Sequence[int], values: Sequence[object]) -> str:
    padded = (
        cell.rjust(width) if isinstance(value, int) else cell.ljust(width)
        for cell, width, value in zip(cells, widths, values, strict=True)
    )
    return "  ".join(padded).rstrip()
