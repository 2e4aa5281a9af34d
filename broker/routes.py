"""The broker over HTTP: read, one call into the domain, render."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from broker.agents import DEFAULT_AGENT, AgentSpec
from broker.edge.audit.entries import known_asker, who_asks
from broker.edge.audit.recording import Audit
from broker.edge.bodies import JSON, parse, read_body
from broker.edge.callers import Caller, Callers
from broker.edge.door import Door
from broker.edge.grants import GrantSigner
from broker.edge.ids import AgentId, SessionId
from broker.edge.metrics import Scraping, show_metrics
from broker.edge.mounting import mounted
from broker.edge.problems import Invalid, NotAllowed
from broker.minting.canary import Canary
from broker.minting.chain import MintChain
from broker.minting.standing import standing_of
from broker.opening import LiveSessions, Opening

TOKEN_BODY_BYTES = 4 * 1024
ENDPOINT_CHARACTERS = 50  # how much of the endpoint /status shows, as existing operators know it
NO_STORE = {"Cache-Control": "no-store"}


class UnknownAgent(Exception):
    """There is no agent of that id."""


class State(TypedDict):
    """What the lifespan opened and the routes use."""

    opening: Opening
    callers: Callers
    door: Door
    agents: Mapping[str, AgentSpec]
    signer: GrantSigner
    live: LiveSessions
    chain: MintChain | None
    canary: Canary | None
    endpoint: str | None
    model: str
    memory_url: str | None
    audit: Audit
    scraping: Scraping


class TokenRequest(BaseModel):
    """The body of ``POST /realtime/token``; each part may be left out. What else a page sends is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    agent_id: AgentId | None = None
    session_id: SessionId | None = None


class GrantRequest(BaseModel):
    """The body of ``POST /realtime/grant``: the session whose turns the grant is for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    session_id: SessionId
    agent_id: AgentId | None = None


TOKEN_REQUEST = TypeAdapter(TokenRequest)
GRANT_REQUEST = TypeAdapter(GrantRequest)


async def mint_token(request: Request[State]) -> Response:
    caller = await _one_who_may_call(request)
    body = await read_body(request, max_bytes=TOKEN_BODY_BYTES, kinds=JSON)
    asked = parse(TOKEN_REQUEST, body) if body else TokenRequest()
    agent = _agent(request, asked.agent_id)
    answer = await request.state["opening"].open(caller, agent, asked.session_id, known_asker(request))
    return Response(to_json(answer), headers=NO_STORE, media_type="application/json")


async def renew_grant(request: Request[State]) -> Response:
    caller = await _one_who_may_call(request)
    asked = parse(GRANT_REQUEST, await read_body(request, max_bytes=TOKEN_BODY_BYTES, kinds=JSON))
    agent = _agent(request, asked.agent_id)
    answer = await request.state["opening"].grant(caller, agent, asked.session_id, known_asker(request))
    return JSONResponse(answer, headers=NO_STORE)


async def _one_who_may_call(request: Request[State]) -> Caller:
    caller = await _caller_of(request)
    if not caller.may_call:
        raise NotAllowed(f"the role {caller.role} may not hold calls")
    return caller


def _agent(request: Request[State], wished: str | None) -> AgentSpec:
    agent = request.state["agents"].get(wished or DEFAULT_AGENT)
    if agent is None:
        raise Invalid([("/agent_id", f"must be one of: {', '.join(request.state['agents'])}")])
    return agent


async def list_agents(request: Request[State]) -> Response:
    return JSONResponse(
        {
            "agents": [agent.public() for agent in request.state["agents"].values()],
            "default_agent": DEFAULT_AGENT,
            "enrichment": _memory(request.state["memory_url"]),
        }
    )


async def agent_config(request: Request[State]) -> Response:
    agent = request.state["agents"].get(request.path_params["agent_id"])
    if agent is None:
        raise UnknownAgent
    return JSONResponse(agent.public())


async def status(request: Request[State]) -> Response:
    endpoint = request.state["endpoint"]
    return JSONResponse(
        {
            "voicelive_configured": endpoint is not None,
            "endpoint": f"{endpoint[:ENDPOINT_CHARACTERS]}..." if endpoint else None,
            "model": request.state["model"],
            "active_sessions": request.state["live"].count(),
            "agents": {
                agent.id: {"voice": agent.voice, "azure_voice": agent.azure_voice}
                for agent in request.state["agents"].values()
            },
        },
        headers=NO_STORE,
    )


async def public_keys(request: Request[State]) -> Response:
    return JSONResponse(request.state["signer"].jwks(), headers={"Cache-Control": "max-age=60"})


async def health(_request: Request[State]) -> Response:
    """Liveness: the loop turns. Asks nobody."""
    return JSONResponse({"status": "healthy"}, headers=NO_STORE)


async def ready(request: Request[State]) -> Response:
    """Readiness: some way to mint has worked. Asks nobody, so a probe can never cause an outage."""
    canary = request.state["canary"]
    is_ready = canary is not None and canary.is_ready
    body = {"status": "ready" if is_ready else "no way to mint has worked yet"}
    return JSONResponse(body, 200 if is_ready else 503, headers=NO_STORE)


async def strategies(request: Request[State]) -> Response:
    """The chain as it stands, for operators: order, last outcomes, what is held and until when."""
    caller = await _caller_of(request)
    if not caller.may_operate:
        raise NotAllowed(f"the role {caller.role} may not see the chain")
    chain = request.state["chain"]
    rows = [] if chain is None else standing_of(chain)
    return JSONResponse({"rows": rows}, headers=NO_STORE)


async def _caller_of(request: Request[State]) -> Caller:
    """Raises `TooMany` before `NotSignedIn`."""
    with request.state["door"].passing(request):
        caller = await request.state["callers"].identify(request)
    who_asks(request, caller)
    return caller


def _memory(url: str | None) -> dict[str, Any] | None:
    if url is None:
        return None
    return {
        "url": f"{url}/memory/enrich",
        "episodes_url": f"{url}/memory/episodes",
        "context_url": f"{url}/memory/context",
        "person_url": f"{url}/memory/users/me",
    }


VOICE: list[BaseRoute] = [
    Route("/realtime/token", mint_token, methods=["POST"]),
    Route("/realtime/grant", renew_grant, methods=["POST"]),
    Route("/realtime/strategies", strategies),
    Route("/agents", list_agents),
    Route("/config/{agent_id}", agent_config),
    Route("/status", status),
]
ROUTES: list[BaseRoute] = [
    *VOICE,
    mounted("/api/v1/voice", VOICE),
    Route("/api/v1/agents", list_agents),
    Route("/.well-known/jwks.json", public_keys),
    Route("/health", health),
    Route("/ready", ready),
    Route("/metrics", show_metrics),
]
