"""What was just recalled about a person, kept for a minute: whoever reconnects asks for the same again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

FRESH_S = 60.0
MOST_PEOPLE = 5_000

Recalled = TypeVar("Recalled")


class Recent(Generic[Recalled]):
    """What reading gave, by person; forgotten when it changes, after 60 s, or when 5 000 others came since.

    With several replicas one may be a minute behind what another has delivered. ``now`` is monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: OrderedDict[str, tuple[float, Recalled]] = OrderedDict()
        self._reading: dict[str, object] = {}

    async def get(self, person: str, read: Callable[[], Awaitable[Recalled]]) -> Recalled:
        """What is kept, else what ``read`` gives, which is kept unless it changed while it was being read."""
        kept = self._kept.get(person)
        if kept is not None and kept[0] > self._now():
            return kept[1]
        mark = self._reading[person] = object()
        try:
            recalled = await read()
            if self._reading.get(person) is mark:
                self._keep(person, recalled)
        finally:
            if self._reading.get(person) is mark:
                del self._reading[person]
        return recalled

    def forget(self, person: str) -> None:
        """Memory has changed: the next one reads again, and who is reading just now keeps nothing."""
        self._kept.pop(person, None)
        self._reading.pop(person, None)

    def _keep(self, person: str, recalled: Recalled) -> None:
        self._kept[person] = (self._now() + FRESH_S, recalled)
        self._kept.move_to_end(person)
        if len(self._kept) > MOST_PEOPLE:
            self._kept.popitem(last=False)
