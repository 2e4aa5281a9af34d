"""What a process says of itself every minute, as one line of its log: what alerts can be made of.

For places where nobody scrapes `/metrics`: Container Apps brings every line of a console into Log Analytics,
and Azure Monitor's own Prometheus does not reach into them. The figures are those of the metrics, so both say
the same. They are written whatever `LOG_LEVEL` is, which chooses words and not figures.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from broker.edge.metrics import Scraping

EVERY_S = 60.0
SLOW_S = "3.0"  # a bound of `broker.edge.metrics.SECONDS`
REQUESTS = "http_server_request_duration_seconds"

# Counters -> the name they have in the line, as what came since the line before.
SINCE = {"engram_auth_failures_total": "refused", "engram_audit_write_failures_total": "unrecorded"}
# Gauges -> theirs, as they stand now.
NOW = {
    "engram_sessions_active": "active",
    "engram_outbox_oldest_age_seconds": "oldest_s",
    "engram_dlq_size": "parked",
}
BREAKER, HELD = "engram_mint_breaker_state", 2

Totals = Mapping[str, float]


def _loud() -> structlog.typing.FilteringBoundLogger:
    """Production's level is WARNING: then the others are quiet, and this one speaks."""
    heard: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)
    )
    return heard


@dataclass(slots=True)
class Figures:
    """The figures of one process of ``service``; ``route`` is the template of what it is there for.

    A line has ``service``, ``process`` (to tell replicas apart), ``requests`` to that route, how many of them
    were ``failed`` by us (5xx) or ``slow`` (longer than 3 s), requests ``refused`` because of who asked, and
    what was ``unrecorded``; of a broker ``active`` sessions and ``ways`` to mint that are not held; of
    enrichment the age of what waits longest as ``oldest_s``, and turns ``parked``, or neither when the outbox
    does not answer.
    """

    service: str
    route: str
    scraping: Scraping
    process: str = field(default_factory=lambda: secrets.token_hex(4))
    _before: Totals = field(default_factory=dict)
    _log: structlog.typing.FilteringBoundLogger = field(default_factory=_loud)

    async def run(self) -> None:
        """Runs for ever. What happens in the last minute of a process is in no line."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.write()

    async def write(self) -> None:
        """The line of what came since the last one."""
        families = [*self.scraping.registry.collect(), *await self.scraping.gauges()]
        samples = [sample for family in families for sample in family.samples]
        totals = {**_requests(samples, self.route), **_totals(samples)}
        since = {name: int(total - self._before.get(name, 0)) for name, total in totals.items()}
        self._before = totals
        self._log.info(
            "figures", service=self.service, process=self.process, **since, **_standing(families, samples)
        )


def _requests(samples: Iterable[Sample], route: str) -> dict[str, float]:
    """All requests of the route, those that we failed, and those that took long."""
    ours = [each for each in samples if each.labels.get("route") == route]
    counted = [each for each in ours if each.name == f"{REQUESTS}_count"]
    soon = [each for each in ours if each.name == f"{REQUESTS}_bucket" and each.labels["le"] == SLOW_S]
    requests = sum(each.value for each in counted)
    failed = sum(each.value for each in counted if each.labels["status"].startswith("5"))
    return {"requests": requests, "failed": failed, "slow": requests - sum(each.value for each in soon)}


def _totals(samples: Iterable[Sample]) -> dict[str, float]:
    totals = dict.fromkeys(SINCE.values(), 0.0)
    for each in samples:
        if each.name in SINCE:
            totals[SINCE[each.name]] += each.value
    return totals


def _standing(families: Iterable[Metric], samples: Iterable[Sample]) -> dict[str, int]:
    """What is there now. Without a resource to mint at there are no ways, and a broker says 0."""
    standing = {NOW[each.name]: int(each.value) for each in samples if each.name in NOW}
    if "active" in standing:
        states = [each.value for family in families if family.name == BREAKER for each in family.samples]
        standing["ways"] = sum(state < HELD for state in states)
    return standing
