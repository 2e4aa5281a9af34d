"""When a row is left alone, and for how long."""

from __future__ import annotations

from broker.minting.breaker import Breaker


def breaker():
    return Breaker(lambda low, high: (low + high) / 2)


def failing(subject, *times):
    for at in times:
        subject.failed(at)
    return subject


def test_three_failures_in_a_row_open_it_for_five_seconds():
    subject = failing(breaker(), 1, 2)
    assert subject.is_closed()
    subject.failed(3)
    assert subject.open_until == 8
    assert not subject.is_half_open(7.9)
    assert subject.is_half_open(8)


def test_a_success_in_between_starts_the_count_again():
    subject = failing(breaker(), 1, 2)
    subject.succeeded(2.5)
    assert failing(subject, 3, 4).is_closed()


def test_half_of_ten_within_half_a_minute_open_it_too():
    subject = breaker()
    for second in range(10):
        (subject.succeeded if second % 2 else subject.failed)(second)
    assert subject.is_closed()
    subject.failed(10)
    assert not subject.is_closed()


def test_failures_that_were_under_way_when_it_opened_add_nothing():
    subject = failing(breaker(), 1, 2, 3, *[3.5] * 50)
    assert subject.open_until == 8


def test_each_failure_after_its_time_doubles_the_wait_up_to_a_minute():
    subject = failing(breaker(), 1, 2, 3)
    waits = []
    for _ in range(6):
        at = subject.open_until
        subject.failed(at)
        waits.append(subject.open_until - at)
    assert waits == [10, 20, 40, 60, 60, 60]


def test_an_upstream_s_own_wish_is_kept_when_it_is_longer():
    subject = breaker()
    subject.failed(0, at_least_s=30)
    assert subject.open_until == 30


def test_a_success_closes_it():
    subject = failing(breaker(), 1, 2, 3)
    subject.succeeded(9)
    assert subject.is_closed()
