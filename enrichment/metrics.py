"""What enrichment counts, and what of it is looked up when somebody scrapes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import cache

import httpx
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from broker.edge.audit.recording import Audit
from broker.edge.metrics import SECONDS
from enrichment.outbox.port import Depth, Outbox, StorageFailed

DEPTH_S = 1.0  # Prometheus gives up a scrape after 10 s by default, and the rest of it must come all the same
LAGS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 86_400.0)

log = structlog.get_logger(__name__)


class TurnMetrics:
    """Counts what accepting and delivery tell, an `enrichment.watch.Watch`, and what Zep is asked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        turns = Counter(
            "engram_enrich_turns", "Turns posted, by what became of them.", ["result"], registry=registry
        )
        results = ("accepted", "duplicate", "conflicting", "rejected", "failed")
        self._turns = {result: turns.labels(result) for result in results}
        self._commits = Histogram(
            "engram_enrich_commit_duration_seconds",
            "How long a post waited to be durable.",
            buckets=SECONDS,
            registry=registry,
        )
        self._lags = Histogram(
            "engram_zep_delivery_lag_seconds",
            "From accepted to remembered, of the oldest turn of a delivery, whichever memory it is.",
            buckets=LAGS_S,
            registry=registry,
        )
        asked = Counter(
            "engram_zep_requests", "Requests to Zep, by how they ended.", ["outcome"], registry=registry
        )
        self._asked = cache(asked.labels)

    def posted(self, result: str, turns: int) -> None:
        self._turns[result].inc(turns)

    def committed(self, seconds: float) -> None:
        self._commits.observe(seconds)

    def delivered(self, lag_s: float) -> None:
        self._lags.observe(lag_s)

    def asked_zep(self, outcome: str) -> None:
        self._asked(outcome).inc()


class CountedTransport(httpx.AsyncBaseTransport):
    """Another transport, and ``asked`` is told how each request ended: ``2xx`` to ``5xx``, or with no answer
    ``timeout``, ``unreachable`` or ``cancelled``."""

    def __init__(self, transport: httpx.AsyncBaseTransport, asked: Callable[[str], None]) -> None:
        self._transport = transport
        self._asked = asked

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as exc:
            self._asked(_word_for(exc))
            raise
        self._asked(f"{response.status_code // 100}xx")
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


def _word_for(exc: BaseException) -> str:
    if isinstance(exc, httpx.TimeoutException):
        return "timeout"
    return "unreachable" if isinstance(exc, Exception) else "cancelled"


async def looked_up(outbox: Outbox, audit: Audit) -> Iterable[Metric]:
    """What is there already and only has to be read; without the outbox when that does not answer in time."""
    on_record = CounterMetricFamily(
        "engram_audit_write_failures", "What was not put on record.", value=audit.failures
    )
    try:
        async with asyncio.timeout(DEPTH_S):
            depth = await outbox.depth()
    except (StorageFailed, TimeoutError) as exc:
        log.warning("metrics.incomplete", reason="the outbox did not answer", error=type(exc).__name__)
        return [on_record]
    return [on_record, *_waiting(depth)]


def _waiting(depth: Depth) -> Iterable[Metric]:
    turns = GaugeMetricFamily("engram_outbox_depth", "Turns that are not in memory.", labels=["state"])
    turns.add_metric(["pending"], depth.pending)
    turns.add_metric(["parked"], depth.parked)
    yield turns
    yield GaugeMetricFamily(
        "engram_outbox_oldest_age_seconds", "Age of the oldest pending turn.", value=depth.oldest_s
    )
    yield GaugeMetricFamily("engram_dlq_size", "Turns parked for a person to look at.", value=depth.parked)
