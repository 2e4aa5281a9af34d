"""Conversation order: each turn after the one it follows, however the posts arrived. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Placed(Protocol):
    """What ordering needs of a turn."""

    @property
    def turn_id(self) -> str: ...

    @property
    def previous_turn_id(self) -> str | None: ...


AnyTurn = TypeVar("AnyTurn", bound=Placed)


def conversation_order(turns: Iterable[AnyTurn]) -> list[AnyTurn]:
    """``turns``, given in order of arrival, so that none comes before the turn it follows.

    Between turns that do not depend on each other arrival decides. A turn whose previous one is unknown is
    free; turns that follow each other in a circle (only a broken client makes them) keep their arrival order.
    """
    arrived = list(turns)
    place = {turn.turn_id: index for index, turn in enumerate(arrived)}
    followers: dict[int, list[int]] = defaultdict(list)
    free: list[int] = []
    for index, turn in enumerate(arrived):
        before = place.get(turn.previous_turn_id or "")
        if before is None or before == index:
            free.append(index)
        else:
            followers[before].append(index)
    ordered = _walk(free, followers)
    circular = sorted(set(range(len(arrived))) - set(ordered))
    return [arrived[index] for index in [*ordered, *circular]]


def _walk(free: Sequence[int], followers: dict[int, list[int]]) -> list[int]:
    """Earliest arrival first among those whose previous turn has been placed."""
    heap, ordered = list(free), []
    heapq.heapify(heap)
    while heap:
        index = heapq.heappop(heap)
        ordered.append(index)
        for follower in followers.get(index, ()):
            heapq.heappush(heap, follower)
    return ordered
