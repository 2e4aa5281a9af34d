"""Limits that replicas share: the same promises, and no mint that waits for a database."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial

import psycopg
import pytest
from structlog.testing import capture_logs

from broker.app import create_app
from broker.edge.call_time import CallTime
from broker.edge.limit_rules import DAY_S, Allowance, Pace
from broker.edge.limits import Kept, Limits, StoreAway, TooMany, Wish
from broker.edge.postgres_limits import PostgresLimits
from tests.broker.build import settings
from tests.clocks import Clock
from tests.enrichment.conftest import database, postgres  # noqa: F401 - fixtures
from tests.running import running

PACE = Pace("minute", "calls", count=6, per_s=60, burst=3)
MIDNIGHT = 1_795_046_400.0  # UTC
CALLS = CallTime(2, Allowance("day", "", 200 * 60))
PATIENT_S = 5.0  # a loaded machine is no reason to decide alone, here


@pytest.fixture
async def replicas(database):  # noqa: F811
    """One more process on the same database at each call, with a clock that all have in common."""
    clock, opened = Clock(), []

    async def replica() -> Limits:
        store = PostgresLimits(database, now=clock, answer_s=PATIENT_S)
        opened.append(store)
        await store.open()
        await store._pool.wait()
        return Limits(Kept(clock), store)

    replica.clock = clock
    yield replica
    for store in opened:
        await store.close()


class Sometimes:
    """A store that is away when a test says so."""

    def __init__(self, store) -> None:
        self._store = store
        self.is_away = False

    def comes_back(self):
        self.is_away = False

    async def change(self, subjects, work):
        if self.is_away:
            raise StoreAway
        return await self._store.change(subjects, work)


class InVainError(Exception):
    """Nothing came of what was granted."""


async def in_vain(limits, wish, meanwhile=lambda: None) -> None:
    with suppress(InVainError):
        async with limits.held([wish]):
            meanwhile()
            raise InVainError


async def wait_of(limits, *wishes) -> float:
    try:
        await limits.take(*wishes)
    except TooMany as exc:
        return exc.retry_after_s
    return 0.0


async def test_two_replicas_let_through_what_one_may(replicas):
    one, other = await replicas(), await replicas()
    asked = [wait_of(limits, Wish("a", PACE)) for limits in (one, other) * 10]
    waits = await asyncio.gather(*asked)
    assert sorted(waits) == [0.0] * 3 + [10.0] * 17
    replicas.clock.pass_s(10)
    assert sorted([await wait_of(one, Wish("a", PACE)), await wait_of(other, Wish("a", PACE))]) == [0, 10]


async def test_a_session_on_one_replica_takes_its_place_on_the_other_until_it_is_given_back(replicas):
    one, other = await replicas(), await replicas()
    first, second, third = (Wish("a", CALLS, 600, session) for session in "stu")
    taken = await one.take(first)
    await one.take(second)
    assert await wait_of(other, third) == 600
    await other.give_back([first], taken)
    assert await wait_of(other, third) == 0


async def test_a_mint_that_fails_on_one_replica_leaves_the_session_s_earlier_call_its_minutes(replicas):
    one, other = await replicas(), await replicas()
    short = CallTime(2, Allowance("day", "", 60 * 60))
    replicas.clock.now_s = MIDNIGHT
    await one.take(Wish("a", short, 3600, "s"))
    await in_vain(one, Wish("a", short, 1800, "s"))
    assert await wait_of(other, Wish("a", short, 1800, "t")) == DAY_S


async def test_whoever_keeps_every_call_they_left_gets_twice_the_minutes_of_all_replicas_at_most(replicas):
    brokers = [await replicas(), await replicas()]
    replicas.clock.now_s = MIDNIGHT
    granted_s = 0.0
    for number in range(14):
        (ends_ms,) = await brokers[number % 2].take(Wish("a", CALLS, 1800, "s"))
        granted_s += ends_ms / 1000 - replicas.clock()
        replicas.clock.pass_s(60)
    assert granted_s == 2 * 200 * 60
    assert await wait_of(brokers[0], Wish("a", CALLS, 1800, "s")) == DAY_S - 14 * 60


async def test_what_the_store_granted_and_nothing_came_of_is_forgotten_here_by_another_clock_too(replicas):
    """Else this process had calls that never began, on the day that it has to decide alone."""
    store = (await replicas())._shared
    here = Limits(Kept(Clock(replicas.clock() + 0.4)), store)
    for session in "st":
        await in_vain(here, Wish("a", CALLS, 1800, session))
    assert here.take_here(Wish("a", CALLS, 1800, "u"))


async def test_what_was_granted_without_the_store_is_not_given_back_to_it(replicas):
    rule, clock = Allowance("bytes", "", 1000), replicas.clock
    store = Sometimes((await replicas())._shared)
    limits = Limits(Kept(clock), store)
    await limits.take(Wish("a", rule, 900))
    store.is_away = True
    await in_vain(Limits(Kept(clock), store), Wish("a", rule, 900), meanwhile=store.comes_back)
    assert await wait_of(limits, Wish("a", rule, 200)) > 0


async def test_subjects_that_many_share_are_locked_in_one_order(replicas):
    one, other = await replicas(), await replicas()
    plenty = Pace("plenty", "", 10_000, 60, 10_000)
    asked = [
        limits.take(Wish(first, plenty), Wish(second, plenty))
        for limits in (one, other)
        for first, second in (("a", "all"), ("all", "a")) * 10
    ]
    async with asyncio.timeout(20):
        await asyncio.gather(*asked)


async def test_the_table_names_nobody(replicas, database):  # noqa: F811
    await (await replicas()).take(Wish("person alice", PACE))
    with psycopg.connect(database) as connection:
        (row,) = connection.execute("SELECT subject, state::text FROM voicelive_limits").fetchall()
    assert b"alice" not in bytes(row[0])
    assert "alice" not in row[1]


SLOW_DELETE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
CREATE TRIGGER dawdle BEFORE DELETE ON voicelive_limits FOR EACH STATEMENT EXECUTE FUNCTION dawdle()
"""


async def test_no_mint_waits_until_what_is_old_is_deleted_and_it_is_deleted(replicas, database):  # noqa: F811
    await (await replicas()).take(Wish("a", PACE))
    store = PostgresLimits(database, now=replicas.clock, answer_s=0.3)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(SLOW_DELETE)
        connection.execute("INSERT INTO voicelive_limits VALUES ('old', '{}', 0)")
        await store.open()
        await store._pool.wait()
        with capture_logs() as logs:
            await Limits(Kept(replicas.clock), store).take(Wish("a", PACE))
        await store.close()  # which waits for what is under way
        count = "SELECT count(*) FROM voicelive_limits"
        assert connection.execute(count).fetchone() == (1,)
    assert logs == []


async def test_a_store_that_is_away_fails_no_mint_and_is_soon_left_alone():
    clock = Clock()
    store = PostgresLimits("postgresql://nobody@127.0.0.1:9/none", monotonic=clock)
    limits = Limits(Kept(clock), store)
    await store.open()
    try:
        with capture_logs() as logs:
            began = time.perf_counter()
            waits = [await wait_of(limits, Wish("a", PACE)) for _ in range(8)]
            took_s = time.perf_counter() - began
    finally:
        await store.close()
    assert waits == [0.0] * 3 + [10.0] * 5
    assert took_s < 1.0  # 50 ms, three times; and a slow machine
    assert [entry["event"] for entry in logs] == ["limits.alone"] * 3


async def test_a_store_that_hangs_is_left_alone_for_five_seconds_and_asked_again(replicas, database):  # noqa: F811
    limits = await replicas()
    hanging = PostgresLimits(database, now=replicas.clock, monotonic=replicas.clock, answer_s=0.3)
    await hanging.open()
    await hanging._pool.wait()
    impatient = Limits(Kept(replicas.clock), hanging)
    await limits.take(Wish("a", PACE))
    with psycopg.connect(database) as connection:
        connection.execute("SELECT * FROM voicelive_limits FOR UPDATE")  # until this block ends
        with capture_logs() as logs:
            waits = [await wait_of(impatient, Wish("a", PACE)) for _ in range(5)]
        assert waits == [0.0] * 3 + [10.0] * 2
        assert [entry["event"] for entry in logs] == ["limits.alone"] * 3
    replicas.clock.pass_s(60)
    for _ in range(3):
        await impatient.take(Wish("a", PACE))
    assert await wait_of(limits, Wish("a", PACE)) == 10.0  # the other replica knows of them
    await hanging.close()


async def test_brokers_of_one_database_count_a_person_s_mints_together(database, azure, monkeypatch):  # noqa: F811
    patient = partial(PostgresLimits, answer_s=PATIENT_S)
    monkeypatch.setattr("broker.edge.postgres_limits.PostgresLimits", patient)
    chosen = settings(
        limits="on", limits_url=database, auth_required=True, auth_dev_tokens=True, limit_person_sessions=9
    )
    alice = {"Authorization": "Bearer dev_alice_analyst"}
    apps = [create_app(chosen, probing=False) for _ in range(2)]
    async with running(apps[0]) as one, running(apps[1]) as other:
        answers = [
            await broker.post("/realtime/token", json={}, headers=alice) for broker in (one, other) * 3
        ]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 3


async def test_a_broker_starts_and_mints_while_the_database_of_its_limits_is_away(azure):
    chosen = settings(limits="on", limits_url="postgresql://nobody@127.0.0.1:9/none")
    async with running(create_app(chosen, probing=False)) as broker:
        answers = [await broker.post("/realtime/token", json={"session_id": "s"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
