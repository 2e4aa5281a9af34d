"""Work beside the requests: named, supervised, and ended with the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

log = structlog.get_logger(__name__)


@asynccontextmanager
async def background(
    **work: Coroutine[Any, Any, None] | None,
) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    """Run each coroutine until leaving, by its name, None left out. One that ends by itself is reported."""
    tasks = {name: asyncio.create_task(job, name=name) for name, job in work.items() if job is not None}
    for task in tasks.values():
        task.add_done_callback(_report_end)
    try:
        yield tasks
    finally:
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())


def _report_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        log.critical("background.died", reason=task.get_name(), exc_info=task.exception())
