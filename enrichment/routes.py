"""Enrichment over HTTP: read, one call into the domain, render."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypedDict

import structlog
from pydantic import BaseModel, ConfigDict, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from broker.edge.bodies import JSON_OR_BEACON, parse, read_body
from broker.edge.ids import SessionId
from broker.edge.problems import NotAllowed
from broker.edge.telemetry import TRACEPARENT, trace_id_of
from enrichment.accepting import Accepting, People
from enrichment.delivery import Delivery
from enrichment.memory.port import Memory
from enrichment.outbox.port import Outbox
from enrichment.reading import Reading, UnknownEpisode
from enrichment.turns import BATCH, BODY_BYTES, SINGLE, TOLD, Post, from_batch, from_single, from_told

NO_STORE = {"Cache-Control": "no-store"}
MOST_EPISODES = 100


class State(TypedDict):
    """What the lifespan opened and the routes use."""

    people: People
    accepting: Accepting
    reading: Reading
    outbox: Outbox
    memory: Memory
    delivery: Delivery
    delivering: asyncio.Task[None]
    now: Callable[[], float]


class _Shape(BaseModel):
    """Just enough of a body to know which shape it is."""

    model_config = ConfigDict(extra="ignore")

    turns: Any = None
    traceparent: Any = None


log = structlog.get_logger(__name__)

SHAPE = TypeAdapter(_Shape)
SESSION: TypeAdapter[str] = TypeAdapter(SessionId)
TEXT = TypeAdapter(str)


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
    return await _accept(request, post)


async def add_told_turn(request: Request[State]) -> Response:
    body = await read_body(request, max_bytes=BODY_BYTES, kinds=JSON_OR_BEACON)
    return await _accept(request, from_told(parse(TOLD, body), now=_now(request)))


def _now(request: Request[State]) -> datetime:
    return datetime.fromtimestamp(request.state["now"](), UTC)


async def _accept(request: Request[State], post: Post) -> Response:
    owner = await request.state["people"].owner_of(request, post)
    answer = await request.state["accepting"].accept(owner, post)
    return JSONResponse(answer, 202, headers=NO_STORE)


async def list_episodes(request: Request[State]) -> Response:
    reader = await request.state["people"].reader_of(request)
    if reader.session_id is not None:
        raise NotAllowed("a grant is for one session")
    episodes = await request.state["reading"].episodes(reader.person, limit=MOST_EPISODES)
    return JSONResponse({"episodes": episodes}, headers=NO_STORE)


async def read_episode(request: Request[State]) -> Response:
    reader = await request.state["people"].reader_of(request)
    session_id = request.path_params["session_id"]
    if not reader.may_read(session_id):
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


async def status(request: Request[State]) -> Response:
    depth = await request.state["outbox"].depth()
    return JSONResponse(
        {
            "pending": depth.pending,
            "parked": depth.parked,
            "oldest_s": round(depth.oldest_s, 1),
            "delivering": not request.state["delivering"].done(),
            "memory": request.state["memory"].name,
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
    return JSONResponse({"status": "ready"}, headers=NO_STORE)


MEMORY: list[BaseRoute] = [
    Route("/enrich", enrich, methods=["POST"]),
    Route("/episodes", list_episodes),
    Route("/episodes/{session_id}", read_episode),
    Route("/context", read_context),
]
ROUTES: list[BaseRoute] = [
    Mount("/memory", routes=MEMORY),
    Mount("/api/v1/memory", routes=MEMORY),
    Route("/conversation/turn", add_told_turn, methods=["POST"]),
    Route("/api/v1/voice/conversation/turn", add_told_turn, methods=["POST"]),
    Route("/status", status),
    Route("/health", health),
    Route("/ready", ready),
]
