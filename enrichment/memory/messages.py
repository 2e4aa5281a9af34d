"""A turn as the messages that a Zep keeps of it, and turns made of such messages again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from enrichment.memory.parts import joined, message_id, split
from enrichment.turns import Speaker, Turn, TurnId

# Data about a person and never an instruction: whoever reads it in Zep must see that.
PROVENANCE = "client_reported"


@dataclass(frozen=True, slots=True)
class Message:
    """One part of a turn. ``id`` is the same whoever writes it and however often."""

    id: str
    speaker: str
    text: str
    metadata: Mapping[str, Any]


class _Told(BaseModel):
    """The metadata that we write; what has none of it was written by somebody else."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    turn_id: TurnId
    part: int
    parts: int
    speaker: Speaker
    previous_turn_id: str | None = None
    agent_id: str | None = None
    spoken_at: AwareDatetime | None = None
    interrupted: bool = False


def messages_of(person: str, session_id: str, turn: Turn, characters: int) -> list[Message]:
    """The parts of ``turn``, none longer than so many code points.

    The metadata has 10 keys at most, which is Zep Cloud's limit, and our own time: Zep Community Edition
    stamps what it gets with its own. The session is in it because a Cloud thread's id is not ours.
    """
    told = {
        "turn_id": turn.turn_id,
        "session_id": session_id,
        "speaker": turn.speaker.value,
        "interrupted": turn.interrupted,
        "provenance": PROVENANCE,
        "previous_turn_id": turn.previous_turn_id,
        "agent_id": turn.agent_id,
        "spoken_at": turn.spoken_at.isoformat() if turn.spoken_at else None,
    }
    told = {name: value for name, value in told.items() if value is not None}
    texts = split(turn.text, characters)
    return [
        Message(
            message_id(person, session_id, turn.turn_id, part),
            turn.speaker.value,
            text,
            {**told, "part": part, "parts": len(texts)},
        )
        for part, text in enumerate(texts)
    ]


def is_of(message: Message, person: str, session_id: str) -> bool:
    """Whether we wrote it for this person: the ids of our messages say so."""
    turn_id, part = message.metadata.get("turn_id"), message.metadata.get("part")
    known = isinstance(turn_id, str) and isinstance(part, int)
    return known and message.id == message_id(person, session_id, str(turn_id), int(part or 0))


def turns_of(messages: Iterable[Message]) -> list[Turn]:
    """The turns in the order in which they began to arrive.

    One of which a part is missing is not there yet: it is still in the outbox, as a whole.
    """
    heard: dict[str, list[tuple[_Told, str]]] = {}
    for message in messages:
        told = _told(message.metadata)
        if told is not None:
            heard.setdefault(told.turn_id, []).append((told, message.text))
    return [_turn(parts) for parts in heard.values() if _is_whole(parts)]


def _told(metadata: Mapping[str, Any]) -> _Told | None:
    try:
        return _Told.model_validate(metadata)
    except ValidationError:
        return None


def _is_whole(parts: list[tuple[_Told, str]]) -> bool:
    return {told.part for told, _ in parts} == set(range(parts[0][0].parts))


def _turn(parts: list[tuple[_Told, str]]) -> Turn:
    told = parts[0][0]
    return Turn(
        turn_id=told.turn_id,
        speaker=told.speaker,
        text=joined([(each.part, text) for each, text in parts]),
        previous_turn_id=told.previous_turn_id,
        agent_id=told.agent_id,
        spoken_at=told.spoken_at,
        interrupted=told.interrupted,
    )
