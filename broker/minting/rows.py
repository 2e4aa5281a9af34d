"""Which ways to mint there are, in the order they are asked. Reading this list is reading the policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broker.minting.domains import Domain
from broker.minting.strategies import Dated, Dialect, Ga, Row, Strategy


def failsafe_rows(domains: Sequence[Domain], api_version: str | None = None) -> list[Row]:
    """Documented shapes before undocumented ones, near domains before far, identity before keys."""
    dialects: list[Dialect] = [Ga(), *([Dated(api_version)] if api_version else [])]
    return _distinct(
        Row(domain, strategy, dialect, credential)
        for dialect in dialects
        for strategy in Strategy
        for domain in domains
        for credential in domain.credentials
        if strategy is not Strategy.PROJECT or domain.project
    )


def _distinct(rows: Iterable[Row]) -> list[Row]:
    """On a custom host several strategies are one address: the first stands for all."""
    kept: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        kept.setdefault((row.domain.name, row.mint_url, row.credential.name), row)
    return list(kept.values())
