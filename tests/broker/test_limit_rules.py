"""The limits as arithmetic: however callers interleave, no more gets through; a wait that is told is true."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.edge.limit_rules import DAY_S, GIVING_WAY_S, Allowance, Bar, CallTime, Pace
from broker.edge.limits import MOST_SUBJECTS, Kept, Limits, TooMany, Wish
from tests.clocks import Clock

PACE = Pace("minute", "calls", count=6, per_s=60, burst=3)
HOUR = Allowance("hour", "calls", count=5, per_s=3600)
CALLS = CallTime(2, Allowance("day", "", 200 * 60))

# What callers do: who, how long after the one before (milliseconds), and whether they wait as they are told.
ARRIVALS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 40_000), st.booleans()), min_size=1, max_size=60
)


def limits(clock):
    return Limits(Kept(clock))


def wait_of(limits, *wishes) -> float:
    """How long these are told to wait; 0 when they were granted."""
    try:
        limits.take_here(*wishes)
    except TooMany as exc:
        return exc.retry_after_s
    return 0.0


def granted(arrivals, *rules) -> dict[str, list[float]]:
    """When each caller got through, callers interleaved as ``arrivals`` say."""
    clock = Clock()
    subject = limits(clock)
    through: dict[str, list[float]] = {}
    for who, after_ms, waits in arrivals:
        clock.pass_s(after_ms / 1000)
        wishes = [Wish(who, rule) for rule in rules]
        wait_s = wait_of(subject, *wishes)
        if wait_s and waits:
            clock.pass_s(wait_s)
            wait_s = wait_of(subject, *wishes)
            assert wait_s == 0.0
        if not wait_s:
            through.setdefault(who, []).append(clock())
    return through


def stretch(at, seconds) -> int:
    """Which hour or day that is."""
    return round(at * 1000) // (seconds * 1000)


def most_within(times, seconds) -> int:
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


@given(ARRIVALS)
def test_no_interleaving_lets_more_through_than_the_pace(arrivals):
    for times in granted(arrivals, PACE).values():
        assert most_within(times, 10) <= PACE.burst + 1
        assert most_within(times, 60) <= PACE.burst + PACE.count
        assert len(times) <= PACE.burst + (times[-1] - times[0]) / 10 + 1e-6


@given(ARRIVALS)
def test_no_interleaving_lets_more_through_than_is_allowed_in_an_hour(arrivals):
    for times in granted(arrivals, HOUR, PACE).values():
        hours = [stretch(at, 3600) for at in times]
        assert all(hours.count(hour) <= HOUR.count for hour in hours)


@given(
    st.lists(
        st.tuples(st.integers(0, 20_000), st.sampled_from("stuv"), st.integers(60, 1800), st.booleans()),
        max_size=40,
    )
)
@example([(0, "t", 61, False), (0, "t", 60, False), (60, "s", 60, False), (0, "u", 60, False)])
def test_no_interleaving_makes_more_sessions_live_or_more_minutes_of_a_day(calls):
    clock = Clock()
    subject = limits(clock)
    live, granted_calls = {}, []
    for after_s, session, seconds, fails in calls:
        clock.pass_s(after_s)
        wish = Wish("a", CALLS, seconds, session)
        try:
            (ends_ms,) = subject.take_here(wish)
        except TooMany:
            continue
        live[session] = min(live.get(session, 0), clock() + GIVING_WAY_S)  # the call before this one
        give_way(granted_calls, session, clock())
        if fails:
            asyncio.run(subject.give_back([wish], [ends_ms]))
            continue
        live[session] = max(ends_ms / 1000, live[session])
        granted_calls.append([session, clock(), ends_ms / 1000])
        assert sum(end > clock() for end in live.values()) <= 2
        assert ends_ms / 1000 <= clock() + seconds
        today = [call for call in granted_calls if stretch(call[1], DAY_S) == stretch(clock(), DAY_S)]
        assert sum(end - began for _, began, end in today) <= 200 * 60


def give_way(calls, session, at):
    """Those of the session end a minute from now, if not before, in whole seconds."""
    for call in calls:
        if call[0] == session:
            call[2] -= max(0, min(int(call[2] - call[1]), int(call[2] - at) - GIVING_WAY_S))


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


@pytest.mark.parametrize(
    ("rule", "before", "wait_s"),
    [(PACE, 3, 10.0), (HOUR, 5, 3600 - 1_795_000_000 % 3600), (Pace("s", "posts", 5, 1, 20), 20, 0.2)],
)
def test_what_is_told_to_wait_is_exactly_long_enough(rule, before, wait_s):
    for short_ms, passes in ((1, False), (0, True)):
        clock = Clock()
        subject = limits(clock)
        for _ in range(before):
            assert wait_of(subject, Wish("a", rule)) == 0
        assert wait_of(subject, Wish("a", rule)) == pytest.approx(wait_s)
        clock.now_s = (clock.now_s * 1000 + wait_s * 1000 - short_ms) / 1000
        assert (wait_of(subject, Wish("a", rule)) == 0) is passes


def test_a_refusal_spends_nothing_of_the_rules_that_would_have_said_yes():
    clock = Clock()
    subject = limits(clock)
    one = Allowance("one", "", 1)
    subject.take_here(Wish("all", one))
    for _ in range(100):
        assert wait_of(subject, Wish("a", PACE), Wish("all", one)) > 0
    assert wait_of(subject, Wish("a", PACE)) == 0


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
    clock = Clock(1_795_000_000 // DAY_S * DAY_S)
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


def test_a_call_that_gives_way_to_another_of_its_session_counts_for_a_minute_beyond_that():
    clock = Clock(1_795_000_000 // DAY_S * DAY_S)
    subject = limits(clock)
    for _ in range(40):  # of 200 minutes: 40 of calls, 40 of giving way, and the last one whole
        assert subject.take_here(Wish("a", CALLS, 1800, "s"))[0] // 1000 - clock() == 1800
        clock.pass_s(60)
    granted_s = []
    for number in range(4):
        granted_s.append(subject.take_here(Wish("a", CALLS, 1800, f"t{number}"))[0] // 1000 - clock())
        clock.pass_s(1800)
    assert granted_s == [1800.0] * 3 + [(200 - 39 * 2 - 30 - 90) * 60.0]


async def test_a_call_that_never_began_costs_no_minutes_and_no_place():
    clock = Clock()
    subject = limits(clock)
    for number in range(100):
        wish = Wish("a", CALLS, 1800, f"s{number}")
        await subject.give_back([wish], await subject.take(wish))
    assert wait_of(subject, Wish("a", CALLS, 1800, "s")) == 0


def test_ten_failures_within_a_minute_bar_for_five_and_nine_do_not():
    bar = Bar("failures", "", count=10, per_s=60, bar_s=300)
    clock = Clock()
    subject = limits(clock)
    for _ in range(50):  # nine a minute, for long
        clock.pass_s(60 / 9 + 0.01)
        subject.take_here(Wish("a", bar))
    assert wait_of(subject, Wish("a", bar, 0)) == 0
    subject.take_here(Wish("a", bar))
    assert wait_of(subject, Wish("a", bar, 0)) == 300
    clock.pass_s(300)
    assert wait_of(subject, Wish("a", bar, 0)) == 0


@pytest.mark.parametrize("jump_s", [-3600, -DAY_S * 400])
@pytest.mark.parametrize(("rule", "seconds", "most_s"), [(PACE, 1, 20), (HOUR, 1, 3600), (CALLS, 1800, 1800)])
def test_a_clock_that_went_back_locks_nobody_out(rule, seconds, most_s, jump_s):
    """A wait that is told afterwards is as true as any."""
    clock = Clock()
    subject = limits(clock)
    numbers = iter(range(100))

    def ask() -> float:
        return wait_of(subject, Wish("a", rule, seconds, f"s{next(numbers)}"))

    while not ask():
        pass
    clock.pass_s(jump_s)
    waited_s = ask()
    assert waited_s <= most_s
    clock.pass_s(waited_s)
    assert ask() == 0


def test_a_clock_that_went_back_ends_a_bar():
    clock = Clock()
    subject = limits(clock)
    bar = Bar("failures", "", count=1, per_s=60, bar_s=300)
    subject.take_here(Wish("a", bar))
    assert wait_of(subject, Wish("a", bar, 0)) == 300
    clock.pass_s(-3600)
    assert wait_of(subject, Wish("a", bar, 0)) == 0


def test_subjects_without_end_take_no_memory_without_end():
    kept = Kept(Clock())
    subject = Limits(kept)
    for number in range(MOST_SUBJECTS + 1000):
        subject.take_here(Wish(f"stranger {number}", PACE))
    assert len(kept._states) == MOST_SUBJECTS
