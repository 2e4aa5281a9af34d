"""A memory that answers nobody is left alone, and asked again soon."""

from __future__ import annotations

import pytest

from enrichment.breaker import FIRST_REST_S, IN_A_ROW, LONGEST_REST_S, Breaker
from tests.clocks import Clock


@pytest.fixture
def clock():
    return Clock(0.0)


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


def fail(breaker, times=IN_A_ROW):
    for _ in range(times):
        breaker.missed()


def test_a_few_failures_stop_nobody(breaker):
    fail(breaker, IN_A_ROW - 1)
    assert (breaker.admit(), breaker.is_open) == (0.0, False)


def test_one_that_gets_through_in_between_counts_as_a_fresh_start(breaker):
    fail(breaker, IN_A_ROW - 1)
    breaker.reached()
    fail(breaker, IN_A_ROW - 1)
    assert not breaker.is_open


def test_five_in_a_row_stop_everybody(breaker):
    fail(breaker)
    assert (breaker.admit(), breaker.is_open) == (FIRST_REST_S, True)


def test_after_a_rest_one_may_try_and_only_one(breaker, clock):
    fail(breaker)
    clock.pass_s(FIRST_REST_S)
    assert breaker.admit() == 0.0
    assert breaker.admit() > 0.0


def test_rests_grow_and_never_beyond_ten_seconds(breaker, clock):
    fail(breaker)
    rests = []
    for _ in range(8):
        rests.append(breaker.admit())
        clock.pass_s(rests[-1])
        breaker.admit()
        breaker.missed()
    assert rests == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, LONGEST_REST_S]


def test_when_memory_is_back_everybody_may_go_at_once(breaker, clock):
    fail(breaker)
    clock.pass_s(FIRST_REST_S)
    breaker.admit()
    breaker.reached()
    assert [breaker.admit() for _ in range(3)] == [0.0, 0.0, 0.0]
