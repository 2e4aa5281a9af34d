"""What each of the broker's routes takes and answers, for ``/openapi.json``: a row for each function."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from broker.edge.audit.port import AuditFailed
from broker.edge.ids import AgentId, SessionId
from broker.edge.limits import TooMany
from broker.edge.openapi import METRICS, OPENAPI, Health, Operation, Parameter, Said
from broker.minting.no_token import Misconfigured, OutOfTime, Throttled, Unavailable
from broker.opening import MemoryOff, NotConfigured
from broker.routes import GrantRequest, TokenRequest, UnknownAgent


class AgentOfACall(Said):
    """Who was called."""

    id: AgentId
    name: str
    voice: str


class Agent(AgentOfACall):
    """An agent, without its prompt."""

    role: str
    azure_voice: str


class Granted(Said):
    """Where turns go, and what they need to get in."""

    url: str
    grant: str
    expires_at: int


class Recalled(Said):
    """Whether memory answered in time, and how much the agent was told."""

    status: Literal["hit", "miss", "timeout", "off"]
    facts: int


class IceServer(Said):
    """As a browser's ``RTCPeerConnection`` takes it."""

    urls: str
    username: str = ""
    credential: str = ""


class Token(Said):
    """Everything a browser needs for one call."""

    token: str
    expires_at: int
    endpoint: str
    calls_url: str
    model: str
    agent: AgentOfACall
    session_id: SessionId
    session_update: dict[str, Any] | None
    strategy: str
    mode: Literal["direct"]
    call_ends_at: int
    call_lasts_s: int
    enrichment: Granted | None
    memory: Recalled
    greeting: bool
    ice_servers: list[IceServer] = Field(default_factory=list)


class Grant(Said):
    """A new grant for turns that still wait."""

    session_id: SessionId
    enrichment: Granted


class WhereMemoryIs(Said):
    """Addresses of enrichment."""

    url: str
    episodes_url: str
    context_url: str
    person_url: str


class Agents(Said):
    """All agents; ``enrichment`` is null where memory is off."""

    agents: list[Agent]
    default_agent: AgentId
    enrichment: WhereMemoryIs | None


class Voices(Said):
    """The two voices of one agent."""

    voice: str
    azure_voice: str


class Status(Said):
    """What the broker is set to."""

    voicelive_configured: bool
    endpoint: str | None
    model: str
    active_sessions: int
    agents: dict[str, Voices]


class ChainRow(Said):
    """One way to mint, as it stands."""

    row: str
    domain: str
    strategy: str
    dialect: str
    credential: str
    standing: Literal["ready", "half open", "held"]
    score: float
    asked: int
    minted: int
    last: str | None
    last_status: int | None
    seen_s_ago: float | None
    held_by: str | None
    free_in_s: float
    left_out: list[str]


class Chain(Said):
    """Every way to mint, in the order it would be asked."""

    rows: list[ChainRow]


class PublicKey(Said):
    """A JSON Web Key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    alg: str
    use: str


class KeySet(Said):
    """What proves grants."""

    keys: list[PublicKey]


CALLER = ("access_token",)
MINT_FAILS = (NotConfigured, Throttled, Unavailable, OutOfTime, Misconfigured)

DESCRIBED: dict[str, Operation] = {
    "mint_token": Operation(
        "A token for one call, and all that the call needs",
        {200: Token},
        body=TokenRequest,
        body_may_be_left_out=True,
        proofs=CALLER,
        raises=(TooMany, AuditFailed, *MINT_FAILS),
    ),
    "renew_grant": Operation(
        "A new grant for turns that still wait; Azure is not asked",
        {200: Grant},
        body=GrantRequest,
        proofs=CALLER,
        raises=(TooMany, AuditFailed, MemoryOff),
    ),
    "show_metrics": METRICS,
    "strategies": Operation("The chain as it stands", {200: Chain}, proofs=CALLER, raises=(TooMany,)),
    "list_agents": Operation("The agents, and where memory is", {200: Agents}),
    "agent_config": Operation(
        "One agent",
        {200: Agent},
        parameters=[Parameter("agent_id", "path", AgentId)],
        raises=(UnknownAgent,),
    ),
    "status": Operation("What the broker is set to", {200: Status}),
    "public_keys": Operation("The keys that prove grants", {200: KeySet}),
    "health": Operation("Whether it lives", {200: Health}),
    "ready": Operation("Whether some way to mint has worked", {200: Health, 503: Health}),
    OPENAPI: Operation("This document", {200: dict[str, Any]}),
}
