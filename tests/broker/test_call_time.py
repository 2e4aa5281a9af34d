"""Minutes and places: what callers were granted and what came of it, against a model that forgets nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.edge.call_time import GIVING_WAY_S, CallTime
from broker.edge.limit_rules import DAY_S, Allowance
from broker.edge.limits import Kept, Limits, TooMany, Wish
from tests.broker.test_limit_rules import wait_of
from tests.clocks import Clock

MINUTES = 200
CALLS = CallTime(2, Allowance("day", "", MINUTES * 60))
LONGEST_MINT_S = 30  # the chain gives up after 8
MIDNIGHT = 1_795_000_000 // DAY_S * DAY_S

# What a person does: how long after the last thing, in which session, for how long, and what becomes of it:
# a token, none, or none which is known only when the next thing has happened.
CALLED = st.lists(
    st.tuples(
        st.integers(0, 4_000),
        st.sampled_from("stu"),
        st.sampled_from([60, 600, 1800]),
        st.sampled_from(["minted", "minted", "fails", "fails later"]),
    ),
    max_size=40,
)


def limits(clock):
    return Limits(Kept(clock))


def give_back(subject, wish, taken):
    asyncio.run(subject.give_back([wish], taken))


@dataclass
class Ledger:
    """Every call that was granted and came about, as [session, from, until], in seconds; nothing else."""

    calls: list[list] = field(default_factory=list)

    def of_today(self, now):
        return [call for call in self.calls if call[1] // DAY_S == now // DAY_S]

    def hung_up_s(self, call, asking, now):
        """What the page did not use, when it hangs up a minute after the session's next call has begun."""
        session = [each for each in self.calls if each[0] == call[0]]
        later = [each[1] for each in session[session.index(call) + 1 :]]
        later += [now] if asking == call[0] else []
        return max(0, min(call[2] - call[1], call[2] - later[0] - GIVING_WAY_S)) if later else 0

    def left_s(self, asking, now):
        today = self.of_today(now)
        granted_s = sum(until - begun for _, begun, until in today)
        hung_up_s = sum(self.hung_up_s(call, asking, now) for call in today)
        return max(0, MINUTES * 60 - granted_s + min(MINUTES * 60, hung_up_s))


@given(CALLED)
@example([(0, "s", 1800, "minted"), (60, "s", 1800, "fails")] * 9)
@example([(0, "s", 1800, "minted"), (60, "s", 1800, "fails later"), (0, "s", 1800, "minted")] * 5)
@example([(0, "t", 60, "minted"), (0, "t", 60, "minted"), (60, "s", 60, "minted"), (0, "u", 60, "minted")])
def test_what_is_left_of_a_day_is_what_the_calls_that_came_about_leave(called):
    clock, ledger = Clock(MIDNIGHT + 100.0), Ledger()
    subject = limits(clock)
    failing = None
    for after_s, session, seconds, outcome in called:
        clock.pass_s(min(after_s, LONGEST_MINT_S) if failing else after_s)
        wish = Wish("a", CALLS, seconds, session)
        left_s = ledger.left_s(session, clock())
        try:
            taken = subject.take_here(wish)
        except TooMany:
            taken = None
        else:
            assert taken[0] / 1000 - clock() == min(seconds, left_s)
            ledger.calls.append([session, clock(), taken[0] / 1000])
        if failing:
            give_back(subject, failing[0], failing[1])
            ledger.calls.remove(failing[2])
            failing = None
        if taken and outcome == "fails":
            give_back(subject, wish, taken)
            ledger.calls.pop()
        elif taken and outcome == "fails later":
            failing = wish, taken, ledger.calls[-1]


@given(CALLED)
@example([(60, "s", 1800, "minted")] * 40)
def test_whoever_keeps_every_call_they_left_talks_for_twice_the_minutes_of_a_day_at_most(called):
    clock, ledger = Clock(), Ledger()
    subject = limits(clock)
    for after_s, session, seconds, _ in called:
        clock.pass_s(after_s)
        try:
            taken = subject.take_here(Wish("a", CALLS, seconds, session))
        except TooMany:
            continue
        ledger.calls.append([session, clock(), taken[0] / 1000])
        assert sum(until - begun for _, begun, until in ledger.of_today(clock())) <= 2 * MINUTES * 60


@given(CALLED)
@example([(0, "t", 60, "minted"), (0, "t", 60, "minted"), (60, "s", 60, "minted"), (0, "u", 60, "minted")])
def test_no_interleaving_makes_more_sessions_live(called):
    clock, live = Clock(), {}
    subject = limits(clock)
    for after_s, session, seconds, outcome in called:
        clock.pass_s(after_s)
        wish = Wish("a", CALLS, seconds, session)
        try:
            taken = subject.take_here(wish)
        except TooMany:
            continue
        if outcome == "minted":
            before = min(live.get(session, 0), clock() + GIVING_WAY_S)
            live[session] = max(taken[0] / 1000, before)
        else:
            give_back(subject, wish, taken)
        assert sum(end > clock() for end in live.values()) <= 2


@given(CALLED)
def test_a_wait_that_is_told_is_exactly_long_enough(called):
    clock = Clock()
    subject = limits(clock)
    for after_s, session, seconds, _ in called:
        clock.pass_s(after_s)
        wish = Wish("a", CALLS, seconds, session)
        if told_s := wait_of(subject, wish):
            clock.now_s = (round(clock.now_s * 1000) + round(told_s * 1000) - 1) / 1000
            assert wait_of(subject, wish) > 0
            clock.now_s = (round(clock.now_s * 1000) + 1) / 1000
            assert wait_of(subject, wish) == 0


def test_a_mint_that_fails_leaves_the_session_s_earlier_call_its_minutes():
    """Its person still talks: what was taken back with the failed one is not for others to spend."""
    clock = Clock(MIDNIGHT)
    subject = limits(clock)
    for number in range(6):
        subject.take_here(Wish("a", CALLS, 1800, f"s{number}"))
        clock.pass_s(1800)
    subject.take_here(Wish("a", CALLS, 1200, "goes on"))
    wish = Wish("a", CALLS, 1800, "goes on")
    give_back(subject, wish, subject.take_here(wish))
    assert wait_of(subject, Wish("a", CALLS, 1800, "other")) == DAY_S - 6 * 1800


def test_a_mint_that_fails_leaves_the_session_live_for_as_long_as_it_was():
    clock = Clock(MIDNIGHT)
    subject = limits(clock)
    for session in "st":
        subject.take_here(Wish("a", CALLS, 1800, session))
    wish = Wish("a", CALLS, 1800, "t")
    give_back(subject, wish, subject.take_here(wish))
    assert wait_of(subject, Wish("a", CALLS, 1800, "u")) == 1800


def test_calls_that_give_way_are_believed_to_be_hung_up_for_as_many_minutes_as_the_day_has():
    clock = Clock(MIDNIGHT)
    subject = limits(clock)
    granted_s = []
    for _ in range(14):
        granted_s.append(subject.take_here(Wish("a", CALLS, 1800, "s"))[0] / 1000 - clock())
        clock.pass_s(60)
    assert granted_s == [1800.0] * 13 + [600.0]
    assert wait_of(subject, Wish("a", CALLS, 1800, "s")) == DAY_S - 14 * 60


def test_a_call_that_gives_way_to_another_of_its_session_counts_for_a_minute_beyond_that():
    clock = Clock(MIDNIGHT)
    subject = limits(clock)
    for _ in range(8):  # of 200 minutes: 8 of calls, 7 of giving way, and the rest of the last
        assert subject.take_here(Wish("a", CALLS, 1800, "s"))[0] / 1000 - clock() == 1800
        clock.pass_s(60)
    clock.pass_s(1800)
    granted_s = []
    for number in range(6):
        granted_s.append(subject.take_here(Wish("a", CALLS, 1800, f"t{number}"))[0] / 1000 - clock())
        clock.pass_s(1800)
    assert granted_s == [1800.0] * 5 + [(200 - 7 * 2 - 30 - 150) * 60.0]


def test_a_call_of_yesterday_that_gives_way_leaves_nothing_of_today():
    clock = Clock(DAY_S * 20_000 - 60)
    subject = limits(clock)
    subject.take_here(Wish("a", CALLS, 1800, "evening"))
    clock.pass_s(120)
    subject.take_here(Wish("a", CALLS, 1800, "other"))
    subject.take_here(Wish("a", CALLS, 60, "evening"))
    clock.pass_s(1800)
    for number in range(5):
        subject.take_here(Wish("a", CALLS, 1800, f"s{number}"))
        clock.pass_s(1800)
    (ends_ms,) = subject.take_here(Wish("a", CALLS, 1800, "last"))
    assert ends_ms / 1000 - clock() == 200 * 60 - 6 * 1800 - 60


def test_a_third_session_waits_for_the_first_to_end_and_one_that_goes_on_does_not():
    clock = Clock()
    subject = limits(clock)
    for session in ("s", "t", "s"):
        assert wait_of(subject, Wish("a", CALLS, 600, session)) == 0
        clock.pass_s(60)
    assert wait_of(subject, Wish("a", CALLS, 600, "u")) == 480  # "t" ends sooner than the longer "s"
    clock.pass_s(480)
    assert wait_of(subject, Wish("a", CALLS, 600, "u")) == 0


def test_the_last_call_of_a_day_is_as_long_as_what_is_left_and_then_there_is_none():
    clock = Clock(MIDNIGHT)
    subject = limits(clock)
    granted_s = []
    for number in range(7):
        granted_s.append(subject.take_here(Wish("a", CALLS, 1800, f"s{number}"))[0] // 1000 - clock())
        clock.pass_s(1800)
    assert granted_s == [1800.0] * 6 + [1200.0]
    left_s = DAY_S - 7 * 1800
    assert wait_of(subject, Wish("a", CALLS, 1800, "s")) == left_s
    clock.pass_s(left_s)
    assert wait_of(subject, Wish("a", CALLS, 1800, "s")) == 0


async def test_a_call_that_never_began_costs_no_minutes_and_no_place():
    clock = Clock()
    subject = limits(clock)
    for number in range(100):
        wish = Wish("a", CALLS, 1800, f"s{number}")
        await subject.give_back([wish], await subject.take(wish))
    assert wait_of(subject, Wish("a", CALLS, 1800, "s")) == 0


@pytest.mark.parametrize("back_s", [1, 30])
def test_a_clock_that_is_set_back_a_little_frees_no_place(back_s):
    clock = Clock()
    subject = limits(clock)
    for session in "st":
        subject.take_here(Wish("a", CALLS, 600, session))
    clock.pass_s(-back_s)
    assert wait_of(subject, Wish("a", CALLS, 600, "u")) == 600 + back_s


def test_a_day_of_many_calls_of_one_session_is_kept_as_a_few():
    clock = Clock(MIDNIGHT)
    kept = Kept(clock)
    subject = Limits(kept)
    rule = CallTime(2, Allowance("day", "", 10_000 * 60))
    for _ in range(500):
        subject.take_here(Wish("a", rule, 1800, "s"))
        clock.pass_s(120)
    assert len(kept._states["a"]["calls"]["s"]) <= 1800 / 120 + 1
