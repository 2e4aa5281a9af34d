"""The kinds of limits: a pace, an allowance a day, failures that bar; those of calls are in `call_time`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from broker.edge.limits import State, Wish

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Pace:
    """``count`` in ``per_s`` seconds, evenly; ``burst`` of them may come at once.

    However they come, there are never more than ``burst`` and ``count`` together in any ``per_s`` seconds
    (the generic cell rate algorithm). What was refused counts for nothing.
    """

    name: str
    says: str
    count: int
    per_s: float
    burst: int

    @property
    def every_ms(self) -> int:
        return math.ceil(self.per_s * 1000 / self.count)

    def wait_ms(self, state: State, wish: Wish, now_ms: int) -> int:
        room_ms = (self.burst - wish.amount) * self.every_ms
        return max(0, self._ahead_ms(state, now_ms) - room_ms)

    def take(self, state: State, wish: Wish, now_ms: int, taken: int | None = None) -> int:  # noqa: ARG002 - the protocol's
        state[self.name] = now_ms + self._ahead_ms(state, now_ms) + wish.amount * self.every_ms
        return wish.amount

    def undo(self, state: State, wish: Wish, taken: int, now_ms: int) -> None:
        """Trying counts, whatever came of it: else an outage would set everybody free to storm."""

    def _ahead_ms(self, state: State, now_ms: int) -> int:
        """How far the even pace lies in the future; a little beyond the whole burst where replicas share it.

        Far beyond it is only after a clock went back. Then we begin anew: cut to the burst it would stay
        there, and lock everybody out until the clock is where it was.
        """
        ahead_ms: int = state.get(self.name, 0) - now_ms
        longest_ms = self.burst * self.every_ms
        return max(0, min(ahead_ms, longest_ms)) if ahead_ms <= 2 * longest_ms else 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """``count`` in each stretch of ``per_s`` seconds since 1970; the day is the one of UTC."""

    name: str
    says: str
    count: int
    per_s: int = DAY_S

    def wait_ms(self, state: State, wish: Wish, now_ms: int) -> int:
        return 0 if self.used(state, now_ms) + wish.amount <= self.count else self.rest_ms(now_ms)

    def take(self, state: State, wish: Wish, now_ms: int, taken: int | None = None) -> int:  # noqa: ARG002 - the protocol's
        state[self.name] = [self._stretch(now_ms), self.used(state, now_ms) + wish.amount]
        return wish.amount

    def undo(self, state: State, wish: Wish, taken: int, now_ms: int) -> None:  # noqa: ARG002 - the protocol's
        if used := self.used(state, now_ms):
            state[self.name] = [self._stretch(now_ms), max(0, used - taken)]

    def used(self, state: State, now_ms: int) -> int:
        stretch, used = state.get(self.name, (0, 0))
        return int(used) if stretch == self._stretch(now_ms) else 0

    def rest_ms(self, now_ms: int) -> int:
        return (self._stretch(now_ms) + 1) * self.per_s * 1000 - now_ms

    def is_of_now(self, then_ms: int, now_ms: int) -> bool:
        return self._stretch(then_ms) == self._stretch(now_ms)

    def _stretch(self, now_ms: int) -> int:
        return now_ms // (self.per_s * 1000)


@dataclass(frozen=True, slots=True)
class Bar:
    """Who fails ``count`` times within ``per_s`` seconds is refused for ``bar_s``.

    A wish for 0 only looks; one for 1 counts a failure.
    """

    name: str
    says: str
    count: int
    per_s: int
    bar_s: int

    def wait_ms(self, state: State, wish: Wish, now_ms: int) -> int:  # noqa: ARG002 - the protocol's
        left_ms: int = state.get(self.name, (0,))[0] - now_ms
        return left_ms if 0 < left_ms <= self.bar_s * 1000 else 0  # longer only after a clock went back

    def take(self, state: State, wish: Wish, now_ms: int, taken: int | None = None) -> int:  # noqa: ARG002 - the protocol's
        if not wish.amount or self.wait_ms(state, wish, now_ms):
            return 0  # who is barred fails on with what was under way; that lifts no bar
        _, *failed = state.get(self.name, (0,))
        recent = [*(at for at in failed if now_ms - self.per_s * 1000 < at <= now_ms), now_ms]
        is_full = len(recent) >= self.count
        state[self.name] = [now_ms + self.bar_s * 1000] if is_full else [0, *recent]
        return wish.amount

    def undo(self, state: State, wish: Wish, taken: int, now_ms: int) -> None:
        """A failure stays one."""
