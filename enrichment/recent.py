"""What was just recalled about a person, kept for a minute: whoever reconnects asks for the same again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from enrichment.pseudonym import hashed

FRESH_S = 60.0
MOST_PEOPLE = 5_000

Recalled = TypeVar("Recalled")


class Recent(Generic[Recalled]):
    """What reading gave, by person; forgotten when it changes, after 60 s, or when 5 000 others came since.

    With several replicas one may be a minute behind what another has delivered, but tells nothing that was
    erased. ``now`` is monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: OrderedDict[str, tuple[float, Recalled]] = OrderedDict()
        self._reading: dict[str, object] = {}

    async def get(self, person: str, read: Callable[[], Awaitable[Recalled]]) -> Recalled:
        """What is kept, else what ``read`` gives, which is kept unless it changed while it was being read."""
        key = hashed(person)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._now():
            return kept[1]
        mark = self._reading[key] = object()
        try:
            recalled = await read()
            if self._reading.get(key) is mark:
                self._keep(key, recalled)
        finally:
            if self._reading.get(key) is mark:
                del self._reading[key]
        return recalled

    def forget(self, person: str) -> None:
        """Memory has changed: the next one reads again, and who is reading just now keeps nothing."""
        self.forget_hashed(hashed(person))

    def forget_hashed(self, key: str | None) -> None:
        """The same, for a person of whom another replica tells no more than the hash; None is everybody."""
        if key is None:
            self._kept.clear()
            self._reading.clear()
            return
        self._kept.pop(key, None)
        self._reading.pop(key, None)

    def _keep(self, key: str, recalled: Recalled) -> None:
        self._kept[key] = (self._now() + FRESH_S, recalled)
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_PEOPLE:
            self._kept.popitem(last=False)
