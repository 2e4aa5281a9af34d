"""Waiting for a condition, with a deadline; never for a length of time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def until(ask: Callable[[], Awaitable[Value]], *, within_s: float = 5.0) -> Value:
    """The first true value that ``ask`` gives. Raises TimeoutError when none comes in time."""
    async with asyncio.timeout(within_s):
        while not (value := await ask()):
            await asyncio.sleep(0.005)
    return value
