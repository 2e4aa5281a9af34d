"""A person's sessions as a list, for a backend that keeps messages and no list that we could use. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from enrichment.memory.port import Episode
from enrichment.turns import Speaker, Turn

OPENING_CHARACTERS = 80


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a session stands among a person's: by when it began, which never changes."""

    began_at: datetime
    session_id: str

    def cursor(self) -> str:
        """What stands for this place in an address."""
        return base64.urlsafe_b64encode(f"{self.began_at.isoformat()} {self.session_id}".encode()).decode()


def place_of(cursor: str) -> Place:
    """The place a cursor stands for. Raises ValueError for a text that is none."""
    began_at, _, session_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
    place = Place(datetime.fromisoformat(began_at), session_id)
    if place.began_at.tzinfo is None:
        raise ValueError("the cursor is none of ours")
    return place


def page_of(
    places: Iterable[Place], *, limit: int, after: Place | None
) -> tuple[Sequence[Place], str | None]:
    """The newest ``limit`` places older than ``after``, and the cursor of what follows; None at the end."""
    older = sorted((place for place in places if after is None or place < after), reverse=True)
    page = older[:limit]
    return page, page[-1].cursor() if page and len(older) > limit else None


def episode_of(place: Place, turns: Sequence[Turn]) -> Episode:
    """A session of at least one turn. A turn without a time counts as spoken when the session began."""
    times = [turn.spoken_at or place.began_at for turn in turns]
    opening = turns[0].text[:OPENING_CHARACTERS]
    return Episode(place.session_id, len(turns), min(times).isoformat(), max(times).isoformat(), opening)


def said_last(turns: Sequence[Turn], limit: int) -> list[Turn]:
    """What the person said, newest first."""
    return [turn for turn in reversed(turns) if turn.speaker is Speaker.USER][:limit]
