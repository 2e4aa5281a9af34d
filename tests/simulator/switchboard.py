"""The calls that are held now, each as one named task."""

from __future__ import annotations

import asyncio
import logging

from tests.simulator.call import Call

log = logging.getLogger(__name__)
CLOSE_WITHIN_S = 8.0


class Switchboard:
    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connect(self, call: Call) -> None:
        """Hold a call that was answered. If it fails, that is logged and the others go on."""
        self._calls[call.id] = call
        task = asyncio.create_task(call.run(), name=call.id)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def find(self, call_id: str) -> Call | None:
        return self._calls.get(call_id)

    async def close(self) -> None:
        """Hang up everywhere."""
        for call in self._calls.values():
            call.hang_up()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
            for task in stuck:
                task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._calls.pop(task.get_name(), None)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("call %s failed", task.get_name(), exc_info=failure)
