"""When to stop asking a row that keeps failing. Pure: the clock is given with every call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

IN_A_ROW = 3
WINDOW_S = 30.0
WINDOW_CALLS = 10
WINDOW_SHARE = 0.5
OPEN_S = 5.0
LONGEST_OPEN_S = 60.0
JITTER = 0.2
SOON_FORGOTTEN = 0.2  # how much one outcome moves the score

Jitter = Callable[[float, float], float]


class Breaker:
    """Closed: ask. Open: leave alone until `open_until`. Then half open: one who may fail asks first.

    closed → open: three failures in a row, or half of at least ten within 30 s
    open → half open: when its time is over (5 s, doubled each time, at most 60 s, ± 20 %)
    half open → closed: a success; half open → open: a failure
    """

    def __init__(self, jitter: Jitter) -> None:
        self._jitter = jitter
        self._recent: deque[tuple[float, bool]] = deque(maxlen=64)
        self._in_a_row = 0
        self._openings = 0
        self.open_until: float | None = None
        self.score = 1.0

    def is_closed(self) -> bool:
        return self.open_until is None

    def is_half_open(self, now: float) -> bool:
        return self.open_until is not None and now >= self.open_until

    def is_steady(self, calls: int, score: float) -> bool:
        """Whether the last so many outcomes were good enough to be relied on first again."""
        return len(self._recent) >= calls and self.score >= score and self.is_closed()

    def succeeded(self, now: float) -> None:
        self._note(now, True)
        self._in_a_row = 0
        if self.open_until is not None:
            self._recent.clear()
        elif self._openings and len(self._recent) >= WINDOW_CALLS:
            self._openings = 0
        self.open_until = None

    def failed(self, now: float, *, at_least_s: float = 0.0) -> None:
        """Count a failure; ``at_least_s`` is how long the upstream itself asked to be left alone."""
        self._note(now, False)
        self._in_a_row += 1
        if self.open_until is not None and now < self.open_until:  # asked before it opened: nothing new
            self.open_until = max(self.open_until, now + at_least_s)
        elif self.open_until is not None or at_least_s or self._is_enough(now):
            self._open(now, at_least_s)

    def _note(self, now: float, is_success: bool) -> None:
        self._recent.append((now, is_success))
        self.score += SOON_FORGOTTEN * (float(is_success) - self.score)

    def _is_enough(self, now: float) -> bool:
        if self._in_a_row >= IN_A_ROW:
            return True
        recent = [is_success for at, is_success in self._recent if now - at <= WINDOW_S]
        return len(recent) >= WINDOW_CALLS and recent.count(False) >= WINDOW_SHARE * len(recent)

    def _open(self, now: float, at_least_s: float) -> None:
        open_s = min(LONGEST_OPEN_S, OPEN_S * 2.0**self._openings)
        self._openings = min(self._openings + 1, 10)
        self.open_until = now + max(at_least_s, self._jitter(open_s * (1 - JITTER), open_s * (1 + JITTER)))
