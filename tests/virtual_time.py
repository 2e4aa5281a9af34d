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
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if not self._ready and timers:
            self.now_s = max(self.now_s, min(timers))
        super()._run_once()  # type: ignore[misc] - the one seam asyncio has for this


def run_virtual(main: Coroutine[Any, Any, Value]) -> Value:
    """What ``main`` returns; its loop's time began at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
