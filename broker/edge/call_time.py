"""Calls that last: how many sessions of a person at a time, and how many minutes of a day. Pure.

Nobody tells when a call was hung up, so each counts as it was granted. Only of one that another of its
session follows, after a loss or for another agent, it is believed that it ended within a minute: else whoever
changes trains or agents had soon no minutes. A program may keep such a call all the same, so no more is
believed in a day than the day has minutes: with all the calls it was granted nobody talks longer than twice
those.

What is believed is worked out anew from the calls as they were granted. So one that never began is taken
out, and everything is as if it had not been asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from broker.edge.limit_rules import Allowance
from broker.edge.limits import State, Wish

GIVING_WAY_S = 60
SHORTEST_CALL_S = 60
SKEW_S = 60  # between the clocks of those who count, and what one of them may be set back by

Call = list[int]  # when it must end (milliseconds since 1970), and the seconds it was granted


@dataclass(frozen=True, slots=True)
class CallTime:
    """At most ``live`` sessions at a time, and so many seconds of calls a day.

    A wish is for seconds of a call ``of`` a session; `take` returns when the call must end (milliseconds),
    which is sooner when less is left of the day.
    """

    live: int
    a_day: Allowance
    name: str = "calls"
    # How much of a day is believed to have been hung up, as far as it stands fast.
    _trust: Allowance = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_trust", Allowance("trust", "", self.a_day.count))

    @property
    def says(self) -> str:
        return f"calls: {self.live} sessions at a time, {self.a_day.count // 60} minutes a day"

    def wait_ms(self, state: State, wish: Wish, now_ms: int) -> int:
        is_spent = self._left_s(state, wish, now_ms) < min(SHORTEST_CALL_S, wish.amount)
        return max(self.a_day.rest_ms(now_ms) if is_spent else 0, self._place_in_ms(state, wish, now_ms))

    def take(self, state: State, wish: Wish, now_ms: int, taken: int | None = None) -> int:
        self._settle(state, now_ms)
        if taken is None:
            seconds = min(wish.amount, self._left_s(state, wish, now_ms))
            ends_ms = now_ms + seconds * 1000
        else:
            seconds = max(0, min(wish.amount, -(-(taken - now_ms) // 1000)))
            ends_ms = taken
        self.a_day.take(state, Wish(wish.subject, self.a_day, seconds), now_ms)
        state.setdefault(self.name, {}).setdefault(wish.of, []).append([ends_ms, seconds])
        return ends_ms

    def undo(self, state: State, wish: Wish, taken: int, now_ms: int) -> None:
        calls = state.get(self.name, {})
        of_session: list[Call] = calls.get(wish.of, [])
        for place in reversed(range(len(of_session))):
            if of_session[place][0] == taken:
                call = of_session.pop(place)
                if self.a_day.is_of_now(_began_ms(call), now_ms):
                    self.a_day.undo(state, wish, call[1], now_ms)
                break
        if not of_session:
            calls.pop(wish.of, None)

    def _left_s(self, state: State, wish: Wish, now_ms: int) -> int:
        """Of the day, if the session's last call now gave way to this one."""
        believed_s = self._trust.used(state, now_ms)
        for session_id, calls in state.get(self.name, {}).items():
            if session_id == wish.of:
                believed_s += self._believed_s(_followed(calls, [now_ms]), now_ms)
            elif len(calls) > 1:
                believed_s += self._believed_s(_followed(calls), now_ms)
        granted_s = self.a_day.used(state, now_ms)
        return max(0, self.a_day.count - granted_s + min(self._trust.count, believed_s))

    def _believed_s(self, followed: Iterable[tuple[Call, int]], now_ms: int) -> int:
        """What is left of those that gave way; one of yesterday leaves nothing of today."""
        return sum(
            _unneeded_s(call, began_ms)
            for call, began_ms in followed
            if self.a_day.is_of_now(_began_ms(call), now_ms)
        )

    def _settle(self, state: State, now_ms: int) -> None:
        """What cannot change any more is not looked at again: mints that could still fail have ended."""
        sessions: dict[str, list[Call]] = state.get(self.name, {})
        for session_id, calls in [*sessions.items()]:
            while calls and _is_settled(calls, now_ms):
                believed = Wish("", self._trust, self._believed_s(_followed(calls[:2]), now_ms))
                self._trust.take(state, believed, now_ms)
                del calls[0]
            if not calls:
                del sessions[session_id]

    def _place_in_ms(self, state: State, wish: Wish, now_ms: int) -> int:
        """How long until one session less is live; a session that goes on takes no further place."""
        sessions: dict[str, list[Call]] = state.get(self.name, {})
        if len(sessions) < self.live:
            return 0
        ends = {
            of: ends_ms for of, calls in sessions.items() if (ends_ms := _ends_ms(calls, now_ms)) > now_ms
        }
        if wish.of in ends or len(ends) < self.live:
            return 0
        return sorted(ends.values())[len(ends) - self.live] - now_ms


def _is_settled(calls: Sequence[Call], now_ms: int) -> bool:
    """Of the first: it is over, and if another followed it, that one was minted."""
    return not _lasts(calls[0], now_ms) and all(
        abs(now_ms - _began_ms(follower)) >= GIVING_WAY_S * 1000 for follower in calls[1:2]
    )


def _began_ms(call: Call) -> int:
    return call[0] - call[1] * 1000


def _followed(calls: Sequence[Call], and_by: Sequence[int] = ()) -> Iterator[tuple[Call, int]]:
    """Each call that another followed, with when that one began (milliseconds)."""
    return zip(calls, [*map(_began_ms, calls[1:]), *and_by], strict=False)


def _unneeded_s(call: Call, follower_began_ms: int) -> int:
    """What is left of a call that gives way to another; never more than it was granted."""
    return max(0, min(call[1], (call[0] - follower_began_ms) // 1000 - GIVING_WAY_S))


def _ends_ms(calls: Sequence[Call], now_ms: int) -> int:
    """When the session is live no longer, by what is believed; 0 when it is over."""
    gave_way = [
        call[0] - _unneeded_s(call, at) * 1000 for call, at in _followed(calls) if _lasts(call, now_ms)
    ]
    return max([*gave_way, *(call[0] for call in calls[-1:] if _lasts(call, now_ms))], default=0)


def _lasts(call: Call, now_ms: int) -> bool:
    """Whether it may still be going on. One that begins later than now is of before a clock went back: it is
    not waited for."""
    return 0 < call[0] - now_ms <= (call[1] + SKEW_S) * 1000
