"""How often the chain may ask twice for one token, and after how long. Pure."""

from __future__ import annotations

from collections import deque

REFILL = 0.1  # of an extra call, for every token minted
MOST_SAVED = 20.0
AT_START = 10.0
LATENCIES = 300
ENOUGH_LATENCIES = 20
SHORTEST_S, LONGEST_S = 0.3, 1.5


class Hedging:
    """A second row is asked when the first is slower than 95 % of recent mints and the budget allows it."""

    def __init__(self) -> None:
        self._saved = AT_START
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES)

    def minted(self, latency_s: float) -> None:
        self._saved = min(MOST_SAVED, self._saved + REFILL)
        self._latencies_s.append(latency_s)

    def after_s(self) -> float:
        """The rolling 95th percentile, never below 0.3 s nor above 1.5 s; 1.5 s while little is known."""
        if len(self._latencies_s) < ENOUGH_LATENCIES:
            return LONGEST_S
        ordered = sorted(self._latencies_s)
        return min(LONGEST_S, max(SHORTEST_S, ordered[int(0.95 * len(ordered))]))

    def take(self) -> bool:
        """Spend one extra call, if one is left."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
