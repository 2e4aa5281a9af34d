"""The chain as it stands, in words for an operator."""

from __future__ import annotations

from typing import Any

from broker.minting.chain import MintChain
from broker.minting.health import Standing
from broker.minting.strategies import Row


def standing_of(chain: MintChain) -> list[dict[str, Any]]:
    """Every row, in the order it would be asked: what it last said, and what keeps it from being asked."""
    health = chain.health
    ready = [*health.in_order(Standing.READY), *health.in_order(Standing.HALF_OPEN)]
    held = [row for row in health.rows if row not in ready]
    return [_line(chain, row) for row in [*ready, *held]]


def _line(chain: MintChain, row: Row) -> dict[str, Any]:
    health, now = chain.health, chain.now()
    record = health.record(row)
    return {
        "row": row.name,
        "domain": row.domain.name,
        "strategy": row.strategy.label,
        "dialect": row.dialect.name,
        "credential": row.credential.name,
        "standing": health.standing(row),
        "score": round(health.score(row), 2),
        "asked": record.asked,
        "minted": record.minted,
        "last": record.last or ("minted" if record.minted else None),
        "last_status": record.last_status,
        "seen_s_ago": None if record.seen_at is None else round(now - record.seen_at, 1),
        "held_by": health.blocked_by(row),
        "free_in_s": round(max(0.0, health.free_at(row) - now), 1),
        "left_out": sorted(health.omitted(row)),
    }
