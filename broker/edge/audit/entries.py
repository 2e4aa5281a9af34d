"""What one line of the audit says: who asked for what, from where, and what came of it.

Nothing here is a secret or what somebody said. An address is cut to its network, a browser's name is hashed.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypedDict, Unpack

import structlog
from starlette.requests import Request

from broker.edge.callers import Caller

Fields = Mapping[str, Any]

WHO = "audit.who"
LONGEST_ACTOR = 200
LONGEST_AGENT = 300  # what is remembered of many that somebody makes up must stay small


class Action(StrEnum):
    """What is written down."""

    CONFIG_START = "config.start"
    TOKEN_MINT = "token.mint"  # noqa: S105 - an action's name
    GRANT_ISSUE = "grant.issue"
    GRANT_REVOKE = "grant.revoke"
    ERASE = "erase"
    REPLAY = "replay"
    DROP = "drop"
    AUTHZ_DENY = "authz.deny"


class Decision(StrEnum):
    """Where it stands. Of an ``INTENT`` without a later line ``of`` it nobody got an answer."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Who:
    """Who asked, and from where: as much of it as may be kept. ``actor`` is None when nobody proved to be.

    ``proof`` is one of `broker.edge.callers.Proof`.
    """

    actor: str | None = None
    role: str | None = None
    proof: str | None = None
    ip: str | None = None
    ua: str | None = None
    trace_id: str | None = None

    def fields(self) -> Fields:
        """What is known of it."""
        return {name: value for name in Who.__slots__ if (value := getattr(self, name)) is not None}


class More(TypedDict, total=False):
    """What else a line may say.

    ``subject`` is whom something was done to, hashed; ``left_out`` how many lines like it were not written.
    """

    reason: str
    session_id: str
    agent_id: str
    turn_id: str
    strategy: str
    subject: str
    route: str
    count: int
    left_out: int
    config: Fields


def entry(
    action: Action, who: Who | None = None, decision: Decision = Decision.DONE, **more: Unpack[More]
) -> Fields:
    """One thing to put on record; its words as plain text, which is written four times as fast as an enum."""
    known = who.fields() if who else {}
    return {"action": action.value, "decision": decision.value, **known, **more}


def who_asks(request: Request[Any], caller: Caller | None = None) -> Who:
    """Who is behind a request; remembered with it, so that a refusal further on knows too."""
    who = Who(
        actor=caller.person[:LONGEST_ACTOR] if caller else None,
        role=caller.role if caller else None,
        proof=caller.proof.value if caller else None,
        ip=network(request.client.host) if request.client else None,
        ua=hashed_agent(request.headers.get("user-agent", "")[:LONGEST_AGENT]),
        trace_id=structlog.contextvars.get_contextvars().get("trace_id"),
    )
    request.scope[WHO] = who
    return who


def known_asker(request: Request[Any]) -> Who:
    """Who was found to be behind the request, or as much as it says by itself."""
    known = request.scope.get(WHO)
    return known if isinstance(known, Who) else who_asks(request)


@lru_cache(maxsize=1024)
def network(address: str) -> str | None:
    """The /24 or /48 an address is in, without the length; None when it is no address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    length = 24 if ip.version == 4 else 48
    return str(ipaddress.ip_network(f"{ip}/{length}", strict=False).network_address)


@lru_cache(maxsize=1024)
def hashed_agent(user_agent: str) -> str | None:
    """Enough to see whether two requests came from the same kind of browser."""
    return hashlib.sha256(user_agent.encode()).hexdigest()[:16] if user_agent else None
