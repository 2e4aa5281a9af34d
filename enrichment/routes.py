"""Enrichment over HTTP: read, one call into the domain, render."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from broker.edge.audit.entries import who_asks
from broker.edge.audit.recording import Audit
from broker.edge.bodies import JSON, JSON_OR_BEACON, parse, read_body
from broker.edge.ids import SESSION_ID, SessionId
from broker.edge.metrics import Scraping, show_metrics
from broker.edge.mounting import mounted
from broker.edge.problems import Invalid, NotAllowed
from broker.edge.telemetry import TRACEPARENT, trace_id_of
from enrichment.accepting import Accepting, People
from enrichment.delivery import Delivery
from enrichment.erasure import Certificate
from enrichment.erasure_on_record import ErasureOnRecord
from enrichment.memory.port import Memory
from enrichment.outbox.port import ForeignSession, Outbox
from enrichment.quota import Quota
from enrichment.reading import Reading, UnknownEpisode
from enrichment.turns import BATCH, BODY_BYTES, SINGLE, TOLD, Post, from_batch, from_single, from_told

NO_STORE = {"Cache-Control": "no-store"}
MOST_EPISODES = 100
QUERY_BYTES = 4 * 1024

Person = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$")]


class State(TypedDict):
    """What the lifespan opened and the routes use."""

    people: People
    quota: Quota
    accepting: Accepting
    reading: Reading
    outbox: Outbox
    memory: Memory
    delivery: Delivery
    delivering: asyncio.Task[None]
    beside: tuple[asyncio.Task[None], ...]
    erasure: ErasureOnRecord
    audit: Audit
    scraping: Scraping
    now: Callable[[], float]


class _Shape(BaseModel):
    """Just enough of a body to know which shape it is."""

    model_config = ConfigDict(extra="ignore")

    turns: Any = None
    traceparent: Any = None


class SearchRequest(BaseModel):
    """The body of ``POST /memory/search``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    query: str = Field(min_length=1, max_length=400)
    limit: int = Field(10, ge=1, le=50)


log = structlog.get_logger(__name__)

SEARCH = TypeAdapter(SearchRequest)
SHAPE = TypeAdapter(_Shape)
SESSION: TypeAdapter[str] = TypeAdapter(SessionId)
TEXT = TypeAdapter(str)
PERSON: TypeAdapter[str] = TypeAdapter(Person)


async def enrich(request: Request[State]) -> Response:
    """A batch, or one turn of an existing page.

    A beacon cannot send ``traceparent`` as a header, so it may be in the body. The request keeps the trace id
    it came in with, so that its headers, problems and log lines agree; one line tells what it is part of.
    """
    body = await read_body(request, max_bytes=BODY_BYTES, kinds=JSON_OR_BEACON)
    shape = parse(SHAPE, body)
    if shape.turns is not None:
        post = from_batch(parse(BATCH, body))
    else:
        post = from_single(parse(SINGLE, body), now=_now(request))
    if isinstance(shape.traceparent, str) and TRACEPARENT.fullmatch(shape.traceparent):
        log.info("request.caused_by", client_trace_id=trace_id_of(shape.traceparent))
        post = replace(post, traceparent=shape.traceparent)
    return await _accept(request, post, len(body))


async def add_told_turn(request: Request[State]) -> Response:
    body = await read_body(request, max_bytes=BODY_BYTES, kinds=JSON_OR_BEACON)
    return await _accept(request, from_told(parse(TOLD, body), now=_now(request)), len(body))


def _now(request: Request[State]) -> datetime:
    return datetime.fromtimestamp(request.state["now"](), UTC)


async def _accept(request: Request[State], post: Post, size: int) -> Response:
    owner = await request.state["people"].owner_of(request, post)
    async with request.state["quota"].place(owner, len(post.turns), size):
        answer = await request.state["accepting"].accept(owner, post)
    return JSONResponse(answer, 202, headers=NO_STORE)


async def list_episodes(request: Request[State]) -> Response:
    reader = await request.state["people"].reader_of(request)
    if reader.session_id is not None:
        raise NotAllowed("a grant is for one session")
    limit, cursor = _page_of(request)
    try:
        page = await request.state["reading"].episodes(reader.person, limit=limit, cursor=cursor)
    except ValueError as exc:
        raise Invalid([("/cursor", "must be a next_cursor that came with a page")]) from exc
    return JSONResponse(page, headers=NO_STORE)


def _page_of(request: Request[State]) -> tuple[int, str | None]:
    """How many sessions a page has, and where it begins."""
    limit = request.query_params.get("limit", str(MOST_EPISODES))
    if not limit.isdecimal() or not 1 <= int(limit[:4]) <= MOST_EPISODES:
        raise Invalid([("/limit", f"must be a number from 1 to {MOST_EPISODES}")])
    return int(limit[:4]), request.query_params.get("cursor") or None


async def read_episode(request: Request[State]) -> Response:
    reader = await request.state["people"].reader_of(request)
    session_id = request.path_params["session_id"]
    if not reader.may_read(session_id) or not re.fullmatch(SESSION_ID, session_id):
        raise UnknownEpisode
    episode = await request.state["reading"].episode(reader.person, session_id)
    return JSONResponse(episode, headers=NO_STORE)


async def read_context(request: Request[State]) -> Response:
    reader = await request.state["people"].reader_of(request)
    session_id = request.query_params.get("session_id")
    if session_id is not None:
        parse(SESSION, TEXT.dump_json(session_id))
        if not reader.may_read(session_id):
            raise NotAllowed("the grant is for another session")
    return JSONResponse(await request.state["reading"].context(reader.person, session_id), headers=NO_STORE)


async def search(request: Request[State]) -> Response:
    caller = await request.state["people"].callers.identify(request)
    asked = parse(SEARCH, await read_body(request, max_bytes=QUERY_BYTES, kinds=JSON))
    found = await request.state["reading"].search(caller.person, asked.query, limit=asked.limit)
    return JSONResponse(found, headers=NO_STORE)


async def erase_episode(request: Request[State]) -> Response:
    """One session of the caller's. A grant erases nothing: it may only add."""
    caller = await request.state["people"].callers.identify(request)
    who = who_asks(request, caller)
    session_id = parse(SESSION, TEXT.dump_json(request.path_params["session_id"]))
    try:
        certificate = await request.state["erasure"].session(who, caller.person, session_id)
    except ForeignSession as exc:
        raise UnknownEpisode from exc
    return _certified(certificate)


async def erase_me(request: Request[State]) -> Response:
    caller = await request.state["people"].callers.identify(request)
    return _certified(await request.state["erasure"].person(who_asks(request, caller), caller.person))


async def erase_person(request: Request[State]) -> Response:
    """Everything of somebody else, by an operator's hand."""
    caller = await request.state["people"].callers.identify(request)
    who = who_asks(request, caller)
    person = parse(PERSON, TEXT.dump_json(request.path_params["person"]))
    if person != caller.person and not caller.may_operate:
        raise NotAllowed(f"the role {caller.role} may not erase what is somebody else's")
    return _certified(await request.state["erasure"].person(who, person))


def _certified(certificate: Certificate) -> Response:
    """202 when memory has still to confirm; asking again gives another certificate."""
    done = certificate.memory is not None
    return JSONResponse(certificate.as_json(), 200 if done else 202, headers=NO_STORE)


async def status(request: Request[State]) -> Response:
    depth = await request.state["outbox"].depth()
    return JSONResponse(
        {
            "pending": depth.pending,
            "parked": depth.parked,
            "oldest_s": round(depth.oldest_s, 1),
            "delivering": not request.state["delivering"].done(),
            "memory": request.state["memory"].name,
            "memory_left_alone": request.state["delivery"].breaker.is_open,
            "last_error": request.state["delivery"].last_error,
        },
        headers=NO_STORE,
    )


async def health(_request: Request[State]) -> Response:
    """Liveness: the loop turns. Asks nobody."""
    return JSONResponse({"status": "healthy"}, headers=NO_STORE)


async def ready(request: Request[State]) -> Response:
    """Readiness: turns can be stored, and what is accepted is also being delivered. Never asks the memory."""
    if not request.state["outbox"].is_serving():
        return JSONResponse({"status": "the outbox has ended"}, 503, headers=NO_STORE)
    if request.state["delivering"].done():
        return JSONResponse({"status": "delivery has ended"}, 503, headers=NO_STORE)
    if any(task.done() for task in request.state["beside"]):
        return JSONResponse({"status": "the sweep or the listening has ended"}, 503, headers=NO_STORE)
    return JSONResponse({"status": "ready"}, headers=NO_STORE)


MEMORY: list[BaseRoute] = [
    Route("/enrich", enrich, methods=["POST"]),
    Route("/episodes", list_episodes),
    Route("/episodes/{session_id}", read_episode),
    Route("/episodes/{session_id}", erase_episode, methods=["DELETE"]),
    Route("/context", read_context),
    Route("/search", search, methods=["POST"]),
    Route("/users/me", erase_me, methods=["DELETE"]),
    Route("/users/{person}", erase_person, methods=["DELETE"]),
]
ROUTES: list[BaseRoute] = [
    mounted("/memory", MEMORY),
    mounted("/api/v1/memory", MEMORY),
    Route("/conversation/turn", add_told_turn, methods=["POST"]),
    Route("/api/v1/voice/conversation/turn", add_told_turn, methods=["POST"]),
    Route("/status", status),
    Route("/health", health),
    Route("/ready", ready),
    Route("/metrics", show_metrics),
]
