"""The kinds of limits: a pace, an allowance a day, calls that last, and failures that bar."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from broker.edge.limits import State, Wish

DAY_S = 86_400
GIVING_WAY_S = 60
SHORTEST_CALL_S = 60


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

    def take(self, state: State, wish: Wish, now_ms: int) -> int:
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
        return 0 if self._used(state, now_ms) + wish.amount <= self.count else self.rest_ms(now_ms)

    def take(self, state: State, wish: Wish, now_ms: int) -> int:
        state[self.name] = [self._stretch(now_ms), self._used(state, now_ms) + wish.amount]
        return wish.amount

    def undo(self, state: State, wish: Wish, taken: int, now_ms: int) -> None:  # noqa: ARG002 - the protocol's
        if used := self._used(state, now_ms):
            state[self.name] = [self._stretch(now_ms), max(0, used - taken)]

    def left(self, state: State, now_ms: int) -> int:
        return max(0, self.count - self._used(state, now_ms))

    def rest_ms(self, now_ms: int) -> int:
        return (self._stretch(now_ms) + 1) * self.per_s * 1000 - now_ms

    def is_of_now(self, then_ms: int, now_ms: int) -> bool:
        return self._stretch(then_ms) == self._stretch(now_ms)

    def _stretch(self, now_ms: int) -> int:
        return now_ms // (self.per_s * 1000)

    def _used(self, state: State, now_ms: int) -> int:
        stretch, used = state.get(self.name, (0, 0))
        return int(used) if stretch == self._stretch(now_ms) else 0


@dataclass(frozen=True, slots=True)
class CallTime:
    """At most ``live`` sessions at a time, and so many seconds of calls a day, counted as granted.

    A call that another of its session follows, after a loss or for another agent, counts for a minute beyond
    that and no longer. A wish is for seconds of a call ``of`` a session; `take` returns when the call must
    end (milliseconds), which is sooner when less is left of the day.
    """

    live: int
    a_day: Allowance
    name: str = "calls"

    @property
    def says(self) -> str:
        return f"calls: {self.live} sessions at a time, {self.a_day.count // 60} minutes a day"

    def wait_ms(self, state: State, wish: Wish, now_ms: int) -> int:
        left = self.a_day.left(state, now_ms) + sum(
            self._returned_s(call, now_ms) for call in self._of(state, wish)
        )
        spent = left < min(SHORTEST_CALL_S, wish.amount)
        return max(self.a_day.rest_ms(now_ms) if spent else 0, self._place_in_ms(state, wish, now_ms))

    def take(self, state: State, wish: Wish, now_ms: int) -> int:
        for call in self._of(state, wish):
            unneeded_s = _unneeded_s(call, now_ms)
            self.a_day.undo(state, wish, self._returned_s(call, now_ms), now_ms)
            call[:] = [call[0] - unneeded_s * 1000, call[1] - unneeded_s]
        seconds = min(wish.amount, self.a_day.left(state, now_ms))
        self.a_day.take(state, Wish(wish.subject, self.a_day, seconds), now_ms)
        ends_ms = now_ms + seconds * 1000
        calls = state.setdefault(self.name, {})
        calls[wish.of] = [*_lasting(calls.get(wish.of, ()), now_ms), [ends_ms, seconds]]
        return ends_ms

    def undo(self, state: State, wish: Wish, taken: int, now_ms: int) -> None:
        calls = state.get(self.name, {})
        for call in calls.get(wish.of, ()):
            if call[0] == taken:
                calls[wish.of].remove(call)
                self.a_day.undo(state, wish, call[1], now_ms)
                break
        if not calls.get(wish.of, True):
            del calls[wish.of]

    def _returned_s(self, call: list[int], now_ms: int) -> int:
        """What a call that gives way leaves of the day; one of yesterday leaves nothing of today."""
        began_ms = call[0] - call[1] * 1000
        return _unneeded_s(call, now_ms) if self.a_day.is_of_now(began_ms, now_ms) else 0

    def _of(self, state: State, wish: Wish) -> list[list[int]]:
        calls: list[list[int]] = state.get(self.name, {}).get(wish.of, [])
        return calls

    def _place_in_ms(self, state: State, wish: Wish, now_ms: int) -> int:
        """How long until one session less is live; a session that goes on takes no further place."""
        calls = state.get(self.name, {})
        if wish.of in calls or len(calls) < self.live:
            return 0
        state[self.name] = live = {of: left for of in calls if (left := _lasting(calls[of], now_ms))}
        if len(live) < self.live:
            return 0
        ends_ms = sorted(max(call[0] for call in left) for left in live.values())
        return ends_ms[len(ends_ms) - self.live] - now_ms


def _unneeded_s(call: list[int], now_ms: int) -> int:
    """What is left of a call that gives way to another; never more than it was granted."""
    return max(0, min(call[1], (call[0] - now_ms) // 1000 - GIVING_WAY_S))


def _lasting(calls: Iterable[list[int]], now_ms: int) -> list[list[int]]:
    """Those that may still be going on, each as when it must end and how many seconds it was granted.

    One that ends later than that from now on began before a clock went back: it is not waited for.
    """
    return [call for call in calls if 0 < call[0] - now_ms <= call[1] * 1000]


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

    def take(self, state: State, wish: Wish, now_ms: int) -> int:
        if not wish.amount:
            return 0
        _, *failed = state.get(self.name, (0,))
        recent = [*(at for at in failed if now_ms - self.per_s * 1000 < at <= now_ms), now_ms]
        is_full = len(recent) >= self.count
        state[self.name] = [now_ms + self.bar_s * 1000] if is_full else [0, *recent]
        return wish.amount

    def undo(self, state: State, wish: Wish, taken: int, now_ms: int) -> None:
        """A failure stays one."""
