"""How often the chain may ask twice for one token, and after how long. Pure."""

from __future__ import annotations

from collections import deque

REFILL = 0.1  # of an extra call, for every token minted
MOST_SAVED = 20.0
AT_START = 10.0
LATENCIES = 300
ENOUGH_LATENCIES = 20
SHORTEST_S, LONGEST_S = 0.3, 1.5
UNKNOWN_S = 0.75  # while little is known
RECKON_EVERY = 20  # mints; sorting 300 numbers for each would cost as much as its signature
SUSPECT_S = 2.0
SUSPECT_WINS = 2


class Hedging:
    """A second row is asked when the first is slower than 95 % of recent mints and the budget allows it."""

    def __init__(self) -> None:
        self._saved = AT_START
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES)
        self._since = 0
        self._after_s = UNKNOWN_S
        self._wins: dict[str, list[float]] = {}

    def minted(self, latency_s: float) -> None:
        self._saved = min(MOST_SAVED, self._saved + REFILL)
        self._latencies_s.append(latency_s)
        self._since += 1
        if self._since >= RECKON_EVERY or len(self._latencies_s) <= ENOUGH_LATENCIES:
            self._reckon()

    def after_s(self) -> float:
        """The rolling 95th percentile, never below 0.3 s nor above 1.5 s; 0.75 s while little is known."""
        return self._after_s

    def _reckon(self) -> None:
        self._since = 0
        if len(self._latencies_s) >= ENOUGH_LATENCIES:
            ordered = sorted(self._latencies_s)
            self._after_s = min(LONGEST_S, max(SHORTEST_S, ordered[int(0.95 * len(ordered))]))

    def won_over(self, domain: str, now: float) -> None:
        """A hedge was faster than a row of that domain."""
        self._wins[domain] = [at for at in self._wins.get(domain, []) if now - at < SUSPECT_S] + [now]

    def take(self, domain: str, now: float) -> bool:
        """Spend one extra call to get away from that domain, if one is left.

        It costs nothing while hedges keep winning over that domain: a region that has gone dark must not use
        up what all who wait for it at that moment would need.
        """
        if sum(now - at < SUSPECT_S for at in self._wins.get(domain, [])) >= SUSPECT_WINS:
            return True
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
