"""Long turns in parts, for a backend that limits the length of a message, and whole again when read. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

# Made once with uuid4: every id of a message in memory hangs on it, so it can never change.
NAMESPACE = uuid.UUID("6f1f6f0e-7a8e-4f0e-9d0e-3a1c5f2b7d11")


def message_id(person: str, session_id: str, turn_id: str, part: int) -> str:
    """The same for the same part of the same turn, whoever delivers it and however often."""
    return str(uuid.uuid5(NAMESPACE, "\0".join((person, session_id, turn_id, str(part)))))


def split(text: str, characters: int) -> list[str]:
    """``text`` in pieces of at most so many code points, cut after a space where one is near.

    Joined without anything between them they are the text again.
    """
    parts = []
    while len(text) > characters:
        space = text.rfind(" ", characters // 2, characters)
        cut = characters if space < 0 else space + 1
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]


def joined(parts: Sequence[tuple[int, str]]) -> str:
    """The text whose numbered parts came in any order; a part that came twice counts once."""
    return "".join(text for _, text in sorted(dict(parts).items()))
