"""Long work on standard error, where somebody looks at it; a script is told nothing it did not ask for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

WIDTH = 30


class Progress:
    """``what`` is being done to ``total`` things, 0 when nobody knows how many."""

    def __init__(self, what: str, total: int, out: TextIO) -> None:
        self._what, self._total, self._out = what, total, out
        self._done, self._shown = 0, -1
        self._live = out.isatty()
        self._show()

    def advance(self, count: int = 1) -> None:
        self._done += count
        self._show()

    def clear(self) -> None:
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _show(self) -> None:
        """Only when it looks different: a terminal is slower than the work."""
        share = min(1.0, self._done / self._total) if self._total else 0.0
        step = int(share * 100) if self._total else self._done // 100
        if not self._live or step == self._shown:
            return
        self._shown = step
        bar = "#" * int(share * WIDTH)
        tail = f"[{bar:<{WIDTH}}] {step:3} %" if self._total else f"{self._done}"
        self._out.write(f"\r{self._what} {tail} ")
        self._out.flush()


@contextmanager
def progress(what: str, total: int = 0) -> Iterator[Progress]:
    """Gone from the terminal at the end, also at a bad one."""
    shown = Progress(what, total, sys.stderr)
    try:
        yield shown
    finally:
        shown.clear()
