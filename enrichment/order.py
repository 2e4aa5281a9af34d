"""Conversation order: each turn after the one it follows, however the posts arrived. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

HOLD_BACK_S = 5.0  # a transcription of what was said first may be finished last; beyond this it is not coming


class Placed(Protocol):
    """What ordering needs of a turn."""

    @property
    def turn_id(self) -> str: ...

    @property
    def previous_turn_id(self) -> str | None: ...


AnyTurn = TypeVar("AnyTurn", bound=Placed)


@dataclass(frozen=True, slots=True)
class Place:
    """A turn without its text."""

    turn_id: str
    previous_turn_id: str | None


@dataclass(frozen=True, slots=True)
class Waiting(Generic[AnyTurn]):
    """A pending turn, when it was accepted (Unix seconds), and whether the turn it follows has come.

    It has when there is none, when it waits too, and when it was delivered or parked.
    """

    turn: AnyTurn
    accepted_at: float
    is_next: bool


def releasable(waiting: Sequence[Waiting[AnyTurn]], now: float) -> tuple[list[AnyTurn], float | None]:
    """Which turns may leave now, in conversation order; and when the first of the others may.

    A turn is held back while the one that it follows has not come, for a few seconds and no longer; what
    follows a turn that is held back waits for it.
    """
    by_id = {each.turn.turn_id: each for each in waiting}
    free: list[AnyTurn] = []
    held: set[str] = set()
    until: list[float] = []
    for turn in conversation_order(each.turn for each in waiting):
        end = by_id[turn.turn_id].accepted_at + HOLD_BACK_S
        if turn.previous_turn_id in held:
            held.add(turn.turn_id)
        elif by_id[turn.turn_id].is_next or now >= end:
            free.append(turn)
        else:
            held.add(turn.turn_id)
            until.append(end)
    return free, min(until, default=None)


def oldest_of(waiting: Sequence[Waiting[Place]], claimed: Sequence[Placed]) -> Waiting[Place]:
    """Which of the claimed turns was accepted first."""
    ids = {turn.turn_id for turn in claimed}
    return min((each for each in waiting if each.turn.turn_id in ids), key=lambda each: each.accepted_at)


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
