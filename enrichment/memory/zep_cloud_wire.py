"""What goes to Zep Cloud and comes from there, between its SDK's types and ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from zep_cloud.core.api_error import ApiError
from zep_cloud.core.parse_error import ParsingError
from zep_cloud.types import AddMessage, ContextEdge, Edge
from zep_cloud.types import Message as Kept

from enrichment.memory.messages import Message
from enrichment.memory.port import Unreachable
from enrichment.memory.zep_wire import asking
from enrichment.outbox.port import StorageFailed


@asynccontextmanager
async def asking_cloud(within_s: float) -> AsyncIterator[None]:
    """`zep_wire.asking`, for what this SDK raises, and for addresses that cannot be read or kept."""
    try:
        async with asking(within_s, ApiError, ParsingError):
            yield
    except StorageFailed as exc:
        raise Unreachable("where things are in Zep Cloud cannot be read or kept") from exc


def sent(message: Message) -> AddMessage:
    """A message as Cloud takes it. Its ``uuid`` is reserved and stays unset."""
    return AddMessage(
        role=message.speaker,
        content=message.text,
        reference_time=message.metadata.get("spoken_at"),
        metadata=dict(message.metadata),
    )


def kept(messages: Iterable[Kept]) -> list[Message]:
    """Cloud's messages as ours."""
    return [
        Message(each.uuid_ or "", each.role or "", each.content or "", each.metadata or {})
        for each in messages
    ]


def facts_of(edges: Iterable[Edge | ContextEdge] | None) -> list[str]:
    """Facts that still hold, each once."""
    holding = [edge.fact for edge in edges or () if not edge.invalid_at and not edge.expired_at]
    return list(dict.fromkeys(fact for fact in holding if fact))
