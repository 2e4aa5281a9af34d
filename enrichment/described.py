"""What each of enrichment's routes takes and answers, for ``/openapi.json``: a row for each function."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from broker.edge.audit.port import AuditFailed
from broker.edge.bodies import JSON_OR_BEACON
from broker.edge.ids import SessionId
from broker.edge.jwks import KeysUnavailable
from broker.edge.limits import TooMany
from broker.edge.openapi import METRICS, OPENAPI, Health, Operation, Parameter, Said
from broker.edge.problems import Invalid
from enrichment.memory.port import Unreachable
from enrichment.outbox.port import Erased, StorageFailed
from enrichment.reading import UnknownEpisode
from enrichment.routes import MOST_EPISODES, Person, SearchRequest
from enrichment.turns import MOST_TURNS, Batch, PostedTurn, Single, Speaker, Told


class TurnsRequest(Batch):
    """Turns of one session, oldest first. One that is not like this is told in ``rejected``."""

    turns: Annotated[list[PostedTurn], Field(min_length=1, max_length=MOST_TURNS)]
    traceparent: str | None = None


class RejectedTurn(Said):
    """A turn that is not kept, and why."""

    turn_id: str | None
    reason: str


class Accepted(Said):
    """Every turn of the post is in exactly one of the three lists."""

    accepted: list[str]
    duplicate: list[str]
    rejected: list[RejectedTurn]


class EpisodeOnItsWay(Said):
    """A session that has turns on their way to memory."""

    id: str


class EpisodeInMemory(EpisodeOnItsWay):
    """A session as memory knows it; ``opening`` is how it began, shortened."""

    turns: int
    first_at: str
    last_at: str
    opening: str


class EpisodePage(Said):
    """Sessions, newest first; before them, on the first page, those that are on their way."""

    episodes: list[EpisodeInMemory | EpisodeOnItsWay]
    next_cursor: str | None


class Line(Said):
    """A turn, read back."""

    turn_id: str
    role: Speaker
    content: str
    agent_id: str | None
    spoken_at: str | None
    interrupted: bool
    delivered: bool


class Transcript(Said):
    """A session in conversation order."""

    id: str
    provenance: Literal["client_reported"]
    transcript: list[Line]


class Context(Said):
    """What a conversation should know, as sentences and as one text."""

    context: str
    facts: list[str]


class FoundLine(Line):
    """A turn that a search found, and the session it is of."""

    session_id: str


class Findings(Said):
    """What a search found, best first."""

    facts: list[str]
    turns: list[FoundLine]


class Count(Said):
    """How much was erased; ``turns`` is null when there were too many to count before."""

    sessions: int
    turns: int | None


class ErasureCertificate(Said):
    """What was erased; ``memory`` is null as long as it has not confirmed."""

    certificate: str
    erased: Literal["everything", "session"]
    session_id: str | None
    erased_at: str
    outbox: Count
    memory: Count | None
    complete: bool


class Status(Said):
    """How much waits, and for what."""

    pending: int
    parked: int
    oldest_s: float
    delivering: bool
    memory: str
    memory_left_alone: bool
    last_error: str | None


CALLER = ("access_token",)
CALLER_OR_GRANT = ("access_token", "grant")
GRANT_ALSO_IN_THE_BODY = ("grant", "")
POSTING = (KeysUnavailable, TooMany, StorageFailed, Erased)
READING = (KeysUnavailable, StorageFailed, Unreachable)
ERASING = (Invalid, AuditFailed, StorageFailed)
OF_A_SESSION = (Parameter("session_id", "path", SessionId),)
CERTIFIED: dict[int, Any] = {200: ErasureCertificate, 202: ErasureCertificate}

DESCRIBED: dict[str, Operation] = {
    "enrich": Operation(
        "Add turns; 202 means that they are on disk",
        {202: Accepted},
        body=TurnsRequest | Single,
        kinds=JSON_OR_BEACON,
        proofs=GRANT_ALSO_IN_THE_BODY,
        raises=POSTING,
    ),
    "add_told_turn": Operation(
        "Add one turn, in the oldest shape",
        {202: Accepted},
        body=Told,
        kinds=JSON_OR_BEACON,
        proofs=GRANT_ALSO_IN_THE_BODY,
        raises=POSTING,
    ),
    "list_episodes": Operation(
        "The caller's sessions",
        {200: EpisodePage},
        parameters=[
            Parameter("limit", "query", Annotated[int, Field(ge=1, le=MOST_EPISODES)]),
            Parameter("cursor", "query", str),
        ],
        proofs=CALLER,
        raises=(Invalid, *READING),
    ),
    "read_episode": Operation(
        "One session in conversation order",
        {200: Transcript},
        parameters=OF_A_SESSION,
        proofs=CALLER_OR_GRANT,
        raises=(UnknownEpisode, *READING),
    ),
    "read_context": Operation(
        "What a conversation that begins, or that session, should know",
        {200: Context},
        parameters=[Parameter("session_id", "query", SessionId)],
        proofs=CALLER_OR_GRANT,
        raises=(Invalid, *READING),
    ),
    "search": Operation(
        "What memory finds among what is the caller's",
        {200: Findings},
        body=SearchRequest,
        proofs=CALLER,
        raises=(Unreachable,),
    ),
    "erase_episode": Operation(
        "Forget one session",
        CERTIFIED,
        parameters=OF_A_SESSION,
        proofs=CALLER,
        raises=(UnknownEpisode, *ERASING),
    ),
    "erase_me": Operation("Forget everything of the caller", CERTIFIED, proofs=CALLER, raises=ERASING[1:]),
    "erase_person": Operation(
        "Forget everything of a person; of somebody else only by the role admin",
        CERTIFIED,
        parameters=[Parameter("person", "path", Person)],
        proofs=CALLER,
        raises=ERASING,
    ),
    "status": Operation("How much waits", {200: Status}, raises=(StorageFailed,)),
    "show_metrics": METRICS,
    "health": Operation("Whether it lives", {200: Health}),
    "ready": Operation("Whether turns are stored and delivered", {200: Health, 503: Health}),
    OPENAPI: Operation("This document", {200: dict[str, Any]}),
}
