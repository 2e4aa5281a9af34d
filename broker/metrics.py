"""What the broker counts, and what of it is looked up when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from broker.edge.audit.recording import Audit
from broker.edge.metrics import SECONDS
from broker.minting.chain import MintChain
from broker.minting.health import Health, Standing
from broker.minting.strategies import Row
from broker.minting.watch import BROKE, CANCELLED, MINTED, NO_TOKEN
from broker.opening import LiveSessions

BREAKER = "engram_mint_breaker_state"
STATES: dict[Standing, int] = {Standing.READY: 0, Standing.HALF_OPEN: 1, Standing.HELD: 2}


class MintMetrics:
    """Counts what a chain tells: a `broker.minting.watch.Watch`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        mints = Counter("engram_mint_requests", "Mints for callers.", ["outcome"], registry=registry)
        durations = Histogram(
            "engram_mint_duration_seconds",
            "How long they took.",
            ["outcome"],
            buckets=SECONDS,
            registry=registry,
        )
        attempts = Counter(
            "engram_mint_attempts",
            "Rows asked, for callers and by the canary.",
            ["strategy", "domain", "outcome"],
            registry=registry,
        )
        hedges = Counter("engram_mint_hedges", "Second rows beside slow ones.", ["result"], registry=registry)
        # Made now, so that each is 0 before it first happens, and an alert sees the first.
        outcomes = (MINTED, *NO_TOKEN.values(), CANCELLED, BROKE)
        self._mints = {outcome: (mints.labels(outcome), durations.labels(outcome)) for outcome in outcomes}
        self._hedges = {result: hedges.labels(result) for result in ("won", "lost", "failed", "denied")}
        self._attempt = cache(attempts.labels)

    def ended(self, outcome: str, seconds: float) -> None:
        mints, durations = self._mints[outcome]
        mints.inc()
        durations.observe(seconds)

    def attempted(self, row: Row, outcome: str) -> None:
        self._attempt(row.strategy.label, row.domain.name, outcome).inc()

    def hedged(self, result: str) -> None:
        self._hedges[result].inc()


def looked_up(live: LiveSessions, chain: MintChain | None, audit: Audit) -> Iterable[Metric]:
    """What is there already and only has to be read."""
    yield GaugeMetricFamily(
        "engram_sessions_active", "Sessions whose call may still last.", value=live.count()
    )
    yield CounterMetricFamily(
        "engram_audit_write_failures", "What was not put on record.", value=audit.failures
    )
    if chain is not None:
        yield _breakers(chain.health)


def _breakers(health: Health) -> Metric:
    """Of the rows of one strategy the best, for that one is asked."""
    says = "Whether a strategy is asked: 0 yes, 1 by one to try, 2 no."
    family = GaugeMetricFamily(BREAKER, says, labels=["strategy"])
    best: dict[str, int] = {}
    for row in health.rows:
        state = STATES[health.standing(row)]
        best[row.strategy.label] = min(state, best.get(row.strategy.label, state))
    for strategy, state in best.items():
        family.add_metric([strategy], state)
    return family
