"""What memory holds against what was said: promised ⊆ remembered ⊆ sent, each once, in conversation order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.history import History


class Kept(NamedTuple):
    """A turn as memory holds it. Memory gives them in the order in which it took them."""

    person: str
    session_id: str
    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many turns there were, and how many were wronged in each way.

    ``lost``: answered 202 and not in memory. ``doubled``: there more than once, also under another id.
    ``disordered``: came into memory after a later turn of their session. ``foreign``: with somebody whose
    session it is not. ``invented``: never sent, or not with these words.
    """

    sent: int
    acked: int
    remembered: int
    lost: int
    doubled: int
    disordered: int
    foreign: int
    invented: int

    @property
    def wrong(self) -> int:
        return self.lost + self.doubled + self.disordered + self.foreign + self.invented


def check(history: History, kept: Sequence[Kept]) -> Verdict:
    remembered = {(turn.session_id, turn.turn_id) for turn in kept}
    return Verdict(
        sent=len(history.sent),
        acked=len(history.acked),
        remembered=len(kept),
        lost=len(history.acked - remembered),
        doubled=_doubled(kept),
        disordered=_disordered(history, kept),
        foreign=sum(_owner(history, turn) not in (None, turn.person) for turn in kept),
        invented=sum(not _was_said(history, turn) for turn in kept),
    )


def _doubled(kept: Sequence[Kept]) -> int:
    """How many turns are there once more under their id, and how many texts once more under another one."""
    ids = {(turn.session_id, turn.turn_id) for turn in kept}
    texts = {(turn.session_id, turn.turn_id, turn.text) for turn in kept}
    return len(kept) - len(ids) + len(texts) - len({text for _, _, text in texts})


def _disordered(history: History, kept: Sequence[Kept]) -> int:
    """How many turns stand in their session right after one that was said later."""
    places: dict[str, list[int]] = defaultdict(list)
    order = {
        (session.session_id, turn_id): place
        for session in history.sessions.values()
        for place, turn_id in enumerate(session.turns)
    }
    for turn in dict.fromkeys((turn.session_id, turn.turn_id) for turn in kept):
        if turn in order:
            places[turn[0]].append(order[turn])
    return sum(after < before for session in places.values() for before, after in pairwise(session))


def _owner(history: History, turn: Kept) -> str | None:
    session = history.sessions.get(turn.session_id)
    return session.person if session else None


def _was_said(history: History, turn: Kept) -> bool:
    session = history.sessions.get(turn.session_id)
    was_sent = (turn.session_id, turn.turn_id) in history.sent
    return session is not None and was_sent and session.turns[turn.turn_id] == turn.text
