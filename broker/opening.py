"""Opening a call: grant, memory, token, and the one answer that holds them. The broker's whole job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from broker.agents import AgentSpec
from broker.edge.audit.entries import Action, Who, entry
from broker.edge.audit.recording import Audit, Begun
from broker.edge.callers import Caller
from broker.edge.grants import GrantSigner
from broker.edge.ids import new_session_id
from broker.edge.tracing import note
from broker.minting.chain import MintChain
from broker.minting.no_token import NoToken
from broker.minting.outcomes import EphemeralToken
from broker.quota import Quota
from broker.recall import NoRecall, Recall
from broker.session import SessionSpec, Transcription, TurnDetection, quotable, session_for

log = structlog.get_logger(__name__)


class NotConfigured(Exception):
    """There is no Azure resource to mint at."""


class MemoryOff(Exception):
    """There is no enrichment that a grant could be for."""


class LiveSessions:
    """Sessions that hold a token and whose call may still last. Kept in this process and only counted."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ends_at: dict[str, float] = {}

    def began(self, session_id: str, ends_at: float) -> None:
        self._ends_at.pop(session_id, None)
        self._ends_at[session_id] = ends_at
        self._forget_the_ended()

    def seconds_until(self, ends_at: float) -> int:
        """For a browser whose clock may be wrong."""
        return max(0, int(ends_at - self._now()))

    def count(self) -> int:
        now = self._now()
        return sum(ends_at > now for ends_at in self._ends_at.values())

    def _forget_the_ended(self) -> None:
        """Most calls last the same, so those that began first, at the front, also end first."""
        while self._ends_at and next(iter(self._ends_at.values())) <= self._now():
            self._ends_at.pop(next(iter(self._ends_at)))


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens calls. ``chain`` is None when no Azure resource is configured.

    A call lasts ``call_limit_s`` at most, or what ``quota`` leaves of it; before that the browser goes on in
    another one.
    ``ice_servers`` go to the browser as they are, credentials included.
    """

    agents: Mapping[str, AgentSpec]
    signer: GrantSigner
    recall: Recall | NoRecall
    chain: MintChain | None
    turn_detection: TurnDetection
    transcription: Transcription | None
    greeting: bool
    enrich_url: str | None
    live: LiveSessions
    quota: Quota
    call_limit_s: int
    audit: Audit
    ice_servers: Sequence[Mapping[str, str]] = ()

    async def open(
        self, caller: Caller, agent: AgentSpec, session_id: str | None, who: Who
    ) -> dict[str, Any]:
        """The answer to ``POST /realtime/token``.

        Raises `NotConfigured`, `TooMany`, `AuditFailed` or what the chain raises. The intent goes on record
        while memory is read, and before Azure is asked.
        """
        if self.chain is None:
            raise NotConfigured
        going_on, session_id = session_id, session_id or new_session_id()
        structlog.contextvars.bind_contextvars(session_id=session_id)
        note({"engram.session_id": session_id})
        intent = entry(Action.TOKEN_MINT, who, session_id=session_id, agent_id=agent.id)
        async with self.quota.place(caller.person, session_id, self.call_limit_s) as ends_at:
            begun = self.audit.begin(intent)
            grant, expires_at = self.signer.sign(
                person=caller.person, session_id=session_id, agent_id=agent.id
            )
            remembered = await self.recall.facts(grant, going_on)
            facts = quotable(remembered.facts)
            spec = session_for(
                agent, facts, turn_detection=self.turn_detection, transcription=self.transcription
            )
            token = await self._mint(self.chain, spec, begun)
        self.live.began(session_id, ends_at)
        log.info("token.minted", agent_id=agent.id, memory=remembered.status)
        return _answer(token, agent, session_id) | {
            "call_ends_at": ends_at,
            "call_lasts_s": self.live.seconds_until(ends_at),
            "enrichment": self._enrichment(grant, expires_at),
            "memory": {"status": remembered.status, "facts": len(facts)},
            "greeting": self.greeting,
            **({"ice_servers": self.ice_servers} if self.ice_servers else {}),
        }

    async def grant(self, caller: Caller, agent: AgentSpec, session_id: str, who: Who) -> dict[str, Any]:
        """The answer to ``POST /realtime/grant``: for turns that still wait when their grant has ended.

        Azure is not asked, and no call begins. Whose session it is enrichment decides, as for every grant.
        Raises `MemoryOff`, `TooMany` or `AuditFailed`.
        """
        if self.enrich_url is None:
            raise MemoryOff
        await self.quota.renew(caller.person)
        grant, expires_at = self.signer.sign(person=caller.person, session_id=session_id, agent_id=agent.id)
        await self.audit.write(entry(Action.GRANT_ISSUE, who, session_id=session_id, agent_id=agent.id))
        return {"session_id": session_id, "enrichment": self._enrichment(grant, expires_at)}

    async def _mint(self, chain: MintChain, spec: SessionSpec, begun: Begun) -> EphemeralToken:
        async with self.audit.recorded(begun) as act:
            token = await self._minted(chain, spec)
            act.came_to(strategy=token.strategy)
            if self.enrich_url:
                act.also(Action.GRANT_ISSUE)
        return token

    async def _minted(self, chain: MintChain, spec: SessionSpec) -> EphemeralToken:
        try:
            return await chain.mint(spec)
        except NoToken as exc:
            attempts = [asdict(attempt) for attempt in exc.attempts]
            log.error("token.failed", error=type(exc).__name__, attempts=attempts)
            raise

    def _enrichment(self, grant: str, expires_at: int) -> dict[str, Any] | None:
        if self.enrich_url is None:
            return None
        return {"url": self.enrich_url, "grant": grant, "expires_at": expires_at}


def _answer(token: EphemeralToken, agent: AgentSpec, session_id: str) -> dict[str, Any]:
    return {
        "token": token.value,
        "expires_at": token.expires_at,
        "endpoint": token.endpoint,
        "calls_url": token.calls_url,
        "model": token.model,
        "agent": {"id": agent.id, "name": agent.name, "voice": agent.voice},
        "session_id": session_id,
        "session_update": token.session_update,
        "strategy": token.strategy,
        "mode": "direct",
    }
