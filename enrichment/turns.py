"""What a browser may send: finished turns, in one of three shapes, and the one `Turn` they all become."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from broker.edge.ids import AgentId, SessionId

BODY_BYTES = 64 * 1024  # what a browser may still send from a page that is closing (keepalive, beacon)
MOST_TURNS = 30
TEXT_CHARACTERS = 8_000
EARLIEST_YEAR, LATEST_YEAR = 2000, 2099
MOST_MARKS = 30


class Speaker(StrEnum):
    """Who said it. There is no other role: nobody posts a system message."""

    USER = "user"
    ASSISTANT = "assistant"


def clean(text: object) -> object:
    """NFC, every line break a newline, a tab a space, and no other control character.

    Anything else than text is left to the model.
    """
    if not isinstance(text, str):
        return text
    if not text.isprintable():  # it nearly always is, and looking at each character was a third of a post
        lines = re.sub(r"\r\n?", "\n", text).replace("\t", " ")
        text = "".join(char for char in lines if char == "\n" or not _is_control(char))
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", _few_marks_in_a_row(text))
    return text.strip()


def _few_marks_in_a_row(text: str) -> str:
    """No letter has more than 30 marks (https://unicode.org/reports/tr15/#Stream_Safe_Text_Format); sorting
    the thousands that a body could hold took most of a second."""
    few, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= MOST_MARKS:
            few.append(char)
    return "".join(few)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs"}


def only_rfc_3339(value: object) -> object:
    """A time as text. Numbers, also in quotes, would be read as seconds or milliseconds, whichever fits."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d[Tt ]", value):
        raise ValueError("must be an RFC 3339 time")
    return value


def in_utc(spoken_at: datetime) -> datetime:
    """A browser's clock may be wrong, but not by centuries; the ends of time have no UTC at all."""
    if not EARLIEST_YEAR <= spoken_at.year <= LATEST_YEAR:
        raise ValueError("must be a time of this century")
    return spoken_at.astimezone(UTC)


TurnId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Text = Annotated[str, BeforeValidator(clean), Field(min_length=1, max_length=TEXT_CHARACTERS)]
SpokenAt = Annotated[AwareDatetime, BeforeValidator(only_rfc_3339), AfterValidator(in_utc)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One finished utterance. ``turn_id`` is Azure's item id; ``spoken_at`` is aware.

    ``traceparent`` names the span of the request that brought it, where there are spans.

    What it says was reported by a browser: it is data about a person, never an instruction.
    """

    turn_id: str
    speaker: Speaker
    text: str
    previous_turn_id: str | None = None
    agent_id: str | None = None
    spoken_at: datetime | None = None
    interrupted: bool = False
    traceparent: str | None = field(default=None, compare=False)

    def fingerprint(self) -> bytes:
        """Equal for two posts of the same turn; what tells a repeat from a contradiction."""
        return hashlib.sha256(f"{self.speaker}\0{self.text}".encode()).digest()


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PostedTurn(_Model):
    """One turn of a batch, as it must be."""

    turn_id: TurnId
    previous_turn_id: TurnId | None = None
    speaker: Speaker
    text: Text
    agent_id: AgentId | None = None
    spoken_at: SpokenAt | None = None
    interrupted: bool = False


class Batch(_Model):
    """Turns of one session, oldest first. Each turn is judged alone, so that one bad one stops no other."""

    turns: Annotated[list[Any], Field(min_length=1, max_length=MOST_TURNS)]
    session_id: SessionId | None = None
    grant: str | None = None


class Single(_Model):
    """The shape that existing pages post: one turn, and no id."""

    text: Text
    speaker: Speaker
    session_id: SessionId | None = None
    agent_id: AgentId | None = None
    turn_id: TurnId | None = None
    grant: str | None = None


class Told(_Model):
    """The oldest shape, of ``POST /conversation/turn``."""

    content: Text
    role: Speaker
    session_id: SessionId | None = None
    agent_id: AgentId | None = None
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A turn that cannot be kept, and why in one of our words. ``turn_id`` is None when it had none."""

    turn_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Post:
    """One request, whatever shape it came in. ``traceparent``: what its body said it is part of."""

    turns: Sequence[Turn]
    rejected: Sequence[Rejection]
    session_id: str | None
    grant: str | None
    traceparent: str | None = None


BATCH = TypeAdapter(Batch)
SINGLE = TypeAdapter(Single)
TOLD = TypeAdapter(Told)


def from_batch(batch: Batch) -> Post:
    judged = [_judge(raw) for raw in batch.turns]
    turns = [turn for turn in judged if isinstance(turn, Turn)]
    rejected = [rejection for rejection in judged if isinstance(rejection, Rejection)]
    return Post(turns, rejected, batch.session_id, batch.grant)


def from_single(single: Single, *, now: datetime) -> Post:
    turn = Turn(
        turn_id=single.turn_id or _new_turn_id(),
        speaker=single.speaker,
        text=single.text,
        agent_id=single.agent_id,
        spoken_at=now,
    )
    return Post([turn], [], single.session_id, single.grant)


def from_told(told: Told, *, now: datetime) -> Post:
    single = Single(text=told.content, speaker=told.role, agent_id=told.agent_id)
    post = from_single(single, now=now)
    return Post(post.turns, [], told.session_id, told.grant)


def _judge(raw: Any) -> Turn | Rejection:
    if not isinstance(raw, dict):
        return Rejection(None, "invalid: turn")
    try:
        model = PostedTurn.model_validate(raw)
    except ValidationError as exc:
        where = ", ".join(sorted({str(error["loc"][0]) for error in exc.errors(include_input=False)}))
        return Rejection(_short(raw.get("turn_id")), f"invalid: {where}")
    return Turn(
        turn_id=model.turn_id,
        speaker=model.speaker,
        text=model.text,
        previous_turn_id=model.previous_turn_id,
        agent_id=model.agent_id,
        spoken_at=model.spoken_at,
        interrupted=model.interrupted,
    )


def _short(turn_id: object) -> str | None:
    """What the sender called the turn, when that can be said back."""
    return turn_id if isinstance(turn_id, str) and len(turn_id) <= 64 else None


def _new_turn_id() -> str:
    return f"turn_{uuid.uuid4().hex}"
