"""When to leave a memory alone that answers nobody. Pure: the clock is injected."""

from __future__ import annotations

import time
from collections.abc import Callable

IN_A_ROW = 5
FIRST_REST_S = 0.5
LONGEST_REST_S = 10.0


class Breaker:
    """Closed until five deliveries in a row could not reach memory; then one is let through after each rest.

    A rest is half a second, doubled each time, at most 10 s; one delivery that gets through ends it all. So
    while memory is down the turns wait side by side and none of them grows an age of failures, and when it
    is back all of them go at once. ``now`` is monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._in_a_row = 0
        self._rest_s = FIRST_REST_S
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether memory is being left alone."""
        return self._open_until is not None

    def admit(self) -> float:
        """0 when a delivery may try now, else how long to wait before asking again.

        While open, whoever is let through is the only one until the next rest is over.
        """
        if self._open_until is None:
            return 0.0
        wait_s = self._open_until - self._now()
        if wait_s > 0:
            return wait_s
        self._rest()
        return 0.0

    def reached(self) -> None:
        """Memory answered, whatever it said."""
        self._in_a_row, self._rest_s, self._open_until = 0, FIRST_REST_S, None

    def missed(self) -> None:
        """Memory could not be reached."""
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW and self._open_until is None:
            self._rest()

    def _rest(self) -> None:
        self._open_until = self._now() + self._rest_s
        self._rest_s = min(LONGEST_REST_S, self._rest_s * 2)
