"""Counting live sessions."""

from __future__ import annotations

from broker.opening import LiveSessions
from broker.settings import LONGEST_CALL_S
from tests.clocks import Clock


def test_a_session_counts_until_its_call_must_have_ended():
    clock = Clock()
    live = LiveSessions(clock)
    live.began("a", clock() + LONGEST_CALL_S)
    clock.pass_s(LONGEST_CALL_S - 1)
    live.began("b", clock() + LONGEST_CALL_S)
    assert live.count() == 2
    clock.pass_s(1)
    assert live.count() == 1


def test_a_session_that_goes_on_in_another_call_counts_once_and_longer():
    clock = Clock()
    live = LiveSessions(clock)
    for _ in range(3):
        live.began("a", clock() + LONGEST_CALL_S)
        clock.pass_s(LONGEST_CALL_S - 1)
    assert live.count() == 1


def test_what_has_ended_is_forgotten_even_when_nobody_counts():
    clock = Clock()
    live = LiveSessions(clock)
    for number in range(10_000):
        live.began(f"s{number}", clock() + LONGEST_CALL_S)
        clock.pass_s(1)
    assert len(live._ends_at) <= LONGEST_CALL_S
