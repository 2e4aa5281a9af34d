"""An event loop whose time passes only when everybody waits: hours in milliseconds, the same every run."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Value = TypeVar("Value")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Instead of sleeping until the next timer it moves the clock there. There must be no real I/O in it."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s

    def _run_once(self) -> None:
        if not self._ready:
            self.now_s = max(self.now_s, self._next_s())
        super()._run_once()  # type: ignore[misc] - the one seam asyncio has for this

    def _next_s(self) -> float:
        """When the next timer is due; 0 when nobody waits for one. They are a heap, but for the cancelled."""
        if self._scheduled and not self._scheduled[0].cancelled():
            return float(self._scheduled[0].when())
        return min((timer.when() for timer in self._scheduled if not timer.cancelled()), default=0.0)


def run_virtual(main: Coroutine[Any, Any, Value]) -> Value:
    """What ``main`` returns; its loop's time began at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
