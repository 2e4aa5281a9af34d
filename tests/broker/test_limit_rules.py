"""The limits as arithmetic: however callers interleave, no more gets through; a wait that is told is true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.call_time import CallTime
from broker.edge.limit_rules import DAY_S, Allowance, Bar, Pace
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


def test_failures_that_were_under_way_when_the_bar_came_do_not_lift_it():
    bar = Bar("failures", "", count=10, per_s=60, bar_s=300)
    clock = Clock()
    subject = limits(clock)
    for _ in range(10):
        subject.take_here(Wish("a", bar))
    clock.pass_s(1)
    for _ in range(9):  # they passed before, and waited for keys
        subject._kept.change(["a"], lambda states, now_ms: [bar.take(states["a"], Wish("a", bar), now_ms)])
    assert wait_of(subject, Wish("a", bar, 0)) == 299


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
