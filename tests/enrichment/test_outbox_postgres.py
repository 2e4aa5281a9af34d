"""What the PostgreSQL outbox promises beyond every outbox: replicas, bounds, schema, a server that goes."""

from __future__ import annotations

import asyncio
import random
import time
import traceback

import psycopg
import pytest

from enrichment.outbox import postgres_connections, postgres_group
from enrichment.outbox.port import LEASE_S, Erased, StorageFailed
from enrichment.outbox.postgres import PostgresOutbox
from enrichment.outbox.postgres_connections import NotDurable
from enrichment.outbox.postgres_schema import MIGRATIONS, SchemaTooNew
from enrichment.pseudonym import hashed
from tests.enrichment.build import FakeMemory, turn
from tests.enrichment.outboxes import deliver, is_waiting_for_a_lock, waiting
from tests.enrichment.postgres import server
from tests.waiting import until


@pytest.fixture
async def outbox(replicas):
    return await replicas()


@pytest.fixture
def elsewhere(database):
    """A session of somebody else at the same database."""
    with psycopg.connect(database) as connection:
        yield connection


# Replicas


async def test_the_same_turn_at_two_replicas_at_once_is_accepted_at_one(replicas):
    first, second = await replicas(), await replicas()
    for number in range(50):
        posts = [replica.accept("p", "s", [turn(f"t{number}")]) for replica in (first, second)]
        answers = await asyncio.gather(*posts)
        assert sorted(len(answer.accepted) for answer in answers) == [0, 1]
        assert sorted(len(answer.duplicate) for answer in answers) == [0, 1]
    assert await waiting(first) == [f"t{number}" for number in range(50)]


async def test_a_new_session_at_two_replicas_at_once_belongs_to_one_person(replicas):
    first, second = await replicas(), await replicas()
    for number in range(50):
        results = await asyncio.gather(
            first.accept("alice", f"s{number}", [turn("a")]),
            second.accept("bob", f"s{number}", [turn("a")]),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["Accepted", "ForeignSession"]


async def test_two_replicas_never_hold_the_same_session(replicas):
    first, second = await replicas(), await replicas()
    for number in range(60):
        await first.accept("p", f"s{number}", [turn("a")])
    claims = await asyncio.gather(*(replica.claim() for _ in range(30) for replica in (first, second)))
    held = [claim.session_id for claim in claims if claim]
    while claim := await first.claim():  # a claim may find nothing when all it saw were being leased
        held.append(claim.session_id)
    assert sorted(held) == sorted(f"s{number}" for number in range(60))


async def test_another_replica_takes_over_when_a_lease_has_run_out(replicas, clock):
    frozen, alive = await replicas(), await replicas()
    await frozen.accept("p", "s", [turn("a")])
    old = await frozen.claim()
    assert await alive.claim() is None
    clock.pass_s(LEASE_S)
    new = await alive.claim()
    await frozen.postpone(old, delay_s=999, reason="woke late")
    await frozen.delivered(old)
    assert await waiting(alive) == ["a"]
    assert await alive.delivered(new)
    assert await waiting(alive) == []


async def test_between_replicas_too_every_turn_is_delivered_once_and_in_order(replicas):
    """Posts thrice and shuffled at both, eight deliverers, a fifth of the deliveries fail after all."""
    both, chance, memory = [await replicas(), await replicas()], random.Random(7), FakeMemory()
    names = [f"t{number:02}" for number in range(20)]
    said = [turn(name, after=before) for before, name in zip([None, *names], names, strict=False)]
    posts = [(f"s{number}", each) for number in range(10) for each in said] * 3
    chance.shuffle(posts)

    async def deliver(outbox):
        while (await outbox.depth()).pending or not posted.is_set():
            claim = await outbox.claim()
            if claim is None:
                await asyncio.sleep(0)
            elif chance.random() < 0.2:
                await outbox.postpone(claim, delay_s=0, reason="down")
            else:
                await memory.remember(claim.person, claim.session_id, claim.turns)
                await outbox.delivered(claim)

    async def post():
        await asyncio.gather(
            *(chance.choice(both).accept("p", session_id, [each]) for session_id, each in posts)
        )
        posted.set()

    posted = asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(post())
        for number in range(8):
            group.create_task(deliver(both[number % 2]))
    assert all(memory.ids(f"s{number}") == names for number in range(10))


async def test_an_erasure_at_one_replica_and_posts_at_another_leave_nothing_behind(replicas):
    first, second = await replicas(), await replicas()
    for number in range(30):
        person = f"p{number}"
        results = await asyncio.gather(
            *(first.accept(person, f"{person}-{each}", [turn("a")], granted_at=1) for each in range(4)),
            second.erase_person(person),
            second.erase_session(person, f"{person}-0"),
            return_exceptions=True,
        )
        assert not [each for each in results if isinstance(each, Exception) and not isinstance(each, Erased)]
        assert await second.pending_sessions(person) == []


async def test_a_session_that_expires_while_it_is_written_to_is_begun_anew_or_stays(replicas, clock):
    first, second = await replicas(), await replicas()
    for number in range(30):
        await first.accept("p", f"s{number}", [turn("old")])
        await deliver(first)
        clock.pass_s(10)
        expired, answer = await asyncio.gather(
            second.expire(5, limit=9), first.accept("p", f"s{number}", [turn("new")])
        )
        assert answer.accepted == ["new"]
        known = [entry.turn_id for entry in await first.entries(f"s{number}")]
        assert known == (["new"] if expired else ["old", "new"])
        await first.confirm("p", f"s{number}")
        await deliver(first)
        clock.pass_s(10)
        await first.expire(5, limit=9)
        await first.confirm("p", f"s{number}")


async def test_whoever_accepts_wakes_the_other_replicas(replicas):
    here, there = await replicas(), await replicas()
    woken = asyncio.Event()
    listening = asyncio.create_task(there.listen(woken.set, id))
    async with asyncio.timeout(5):
        await woken.wait()  # once when it begins to listen: whatever came before
        woken.clear()
        await here.accept("p", "s", [turn("a")])
        await woken.wait()
    listening.cancel()
    await asyncio.wait([listening])


async def test_whoever_has_forgotten_something_tells_the_other_replicas_of_whom(replicas):
    here, there = await replicas(), await replicas()
    woken, forgotten = asyncio.Event(), asyncio.Queue()
    listening = asyncio.create_task(there.listen(woken.set, forgotten.put_nowait))
    async with asyncio.timeout(5):
        await woken.wait()
        await here.erase_person("alice")
        await here.confirm("alice", None)
        assert [await forgotten.get(), await forgotten.get()] == [None, hashed("alice")]
    listening.cancel()
    await asyncio.wait([listening])


async def test_without_a_clock_of_ours_the_database_s_counts(replicas):
    outbox = await replicas(now=None)
    await outbox.accept("p", "s", [turn("a")])
    assert await outbox.next_due_s() == 0
    claim = await outbox.claim()
    assert 0 <= claim.oldest_s < 5
    assert await outbox.claim() is None
    assert LEASE_S - 5 < await outbox.next_due_s() <= LEASE_S


# Groups and their bounds


async def test_many_posts_are_one_transaction(outbox, elsewhere):
    def begun():
        return elsewhere.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()[0]

    elsewhere.autocommit = True
    before = begun()
    await asyncio.gather(*(outbox.accept("p", f"s{number}", [turn("a")]) for number in range(200)))
    assert begun() - before < 10


async def test_what_cannot_be_stored_harms_nobody_else(outbox):
    results = await asyncio.gather(
        outbox.accept("p", "s1", [turn("a")]),
        outbox.accept("p", "s2", [turn("a", "canary \0")]),
        outbox.accept("p", "s3", [turn("a", "canary \ud800")]),
        outbox.accept("p", "s4", [turn("a")]),
        return_exceptions=True,
    )
    assert [type(each).__name__ for each in results] == [
        "Accepted",
        "StorageFailed",
        "StorageFailed",
        "Accepted",
    ]
    told = "".join(line for each in results[1:3] for line in traceback.format_exception(each))
    assert "canary" not in told
    assert await outbox.pending_sessions("p") == ["s1", "s4"]


async def test_behind_too_many_others_nobody_waits(outbox, elsewhere, monkeypatch):
    monkeypatch.setattr(postgres_group, "MOST_QUEUED", 3)
    elsewhere.execute("LOCK TABLE outbox_session")
    first = asyncio.create_task(outbox.accept("p", "s", [turn("first")]))
    await until(lambda: is_waiting_for_a_lock(elsewhere))
    posts = [asyncio.create_task(outbox.accept("p", "s", [turn(f"t{number}")])) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StorageFailed):
        await outbox.accept("p", "s", [turn("one too many")])
    elsewhere.rollback()
    assert len(await asyncio.gather(first, *posts)) == 4
    assert (await outbox.depth()).pending == 4


async def test_after_a_slow_commit_nobody_queues_behind_another(outbox, elsewhere, monkeypatch):
    monkeypatch.setattr(postgres_group, "SLOW_COMMIT_S", 0.0)
    await outbox.accept("p", "s", [turn("a")])
    elsewhere.execute("LOCK TABLE outbox_session")
    first = asyncio.create_task(outbox.accept("p", "s", [turn("first")]))
    await until(lambda: is_waiting_for_a_lock(elsewhere))
    second = asyncio.create_task(outbox.accept("p", "s", [turn("second")]))
    await asyncio.sleep(0)
    with pytest.raises(StorageFailed, match="slow"):
        await outbox.accept("p", "s", [turn("third")])
    elsewhere.rollback()
    await asyncio.gather(first, second)


async def test_nobody_waits_for_ever_and_who_gave_up_is_not_stored_later(outbox, elsewhere, monkeypatch):
    monkeypatch.setattr(postgres_group, "RUN_S", 0.1)
    elsewhere.execute("LOCK TABLE outbox_session")
    first = asyncio.create_task(outbox.accept("p", "s", [turn("first")]))
    await until(lambda: is_waiting_for_a_lock(elsewhere))
    with pytest.raises(StorageFailed):
        await outbox.accept("p", "s", [turn("second")])
    with pytest.raises(StorageFailed):
        await first
    elsewhere.rollback()
    monkeypatch.undo()
    await outbox.accept("p", "s", [turn("third")])
    assert "second" not in await waiting(outbox)


async def test_nobody_waits_longer_than_told_for_other_work_either(outbox, elsewhere):
    elsewhere.execute("LOCK TABLE outbox_session")
    began = time.monotonic()
    with pytest.raises(StorageFailed):
        await outbox._connections.run(lambda db: db.execute("SELECT FROM outbox_session"), within_s=0.1)
    assert time.monotonic() - began < 2
    elsewhere.rollback()
    assert await outbox.claim() is None  # the connection is back, or another has taken its place


async def test_when_the_writer_dies_everybody_is_told(outbox, monkeypatch, capfd):
    async def die(_posts):
        raise KeyError("canary")

    assert outbox.is_serving()
    monkeypatch.setattr(outbox._writer, "_store", die)
    posts = [outbox.accept("p", "s", [turn(f"t{number}")]) for number in range(3)]
    assert {type(each) for each in await asyncio.gather(*posts, return_exceptions=True)} == {StorageFailed}
    assert not outbox.is_serving()
    with pytest.raises(StorageFailed):
        await outbox.accept("p", "s", [turn("late")])


async def test_an_error_of_the_database_is_told_without_what_it_quotes(outbox, elsewhere):
    elsewhere.execute("ALTER TABLE outbox_turn ADD CHECK (text <> 'a canary')")
    elsewhere.commit()
    said = [turn("a", "a canary")]
    with pytest.raises(StorageFailed) as caught:
        await outbox.accept("p", "s", said)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


# Opening


async def test_two_that_start_at_once_make_the_tables_once(database):
    opened = [PostgresOutbox(database) for _ in range(5)]
    await asyncio.gather(*(outbox.open() for outbox in opened))
    for outbox in opened:
        await outbox.close()
    with psycopg.connect(database) as connection:
        versions = connection.execute("SELECT version FROM outbox_schema ORDER BY version").fetchall()
    assert versions == [(number,) for number in range(1, len(MIGRATIONS) + 1)]


async def test_a_schema_of_a_newer_release_is_refused(outbox, database, elsewhere):
    elsewhere.execute("INSERT INTO outbox_schema (version) VALUES (999)")
    elsewhere.commit()
    with pytest.raises(SchemaTooNew):
        await PostgresOutbox(database).open()


async def test_a_role_that_may_not_make_tables_can_use_them(outbox, database, elsewhere):
    elsewhere.execute(
        "DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    schema = elsewhere.execute("SELECT current_schema()").fetchone()[0]
    elsewhere.execute(f"GRANT USAGE ON SCHEMA {schema} TO clerk")
    elsewhere.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO clerk")
    elsewhere.commit()
    clerk = PostgresOutbox(database.replace("tests@", "clerk@"))
    await clerk.open()
    assert (await clerk.accept("p", "s", [turn("a")])).accepted == ["a"]
    assert await clerk.delivered(await clerk.claim())
    await clerk.erase_person("p")
    await clerk.close()


@pytest.mark.parametrize("level", ["off", "local", "remote_write"])
async def test_a_session_that_would_not_sync_is_refused(postgres, level):
    outbox = PostgresOutbox(postgres.url(synchronous_commit=level))
    with pytest.raises(NotDurable):
        await outbox.open()
    await outbox.close()


async def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path):
    outbox = PostgresOutbox(f"postgresql://somebody:canary@/x?host={tmp_path}")
    with pytest.raises(StorageFailed) as caught:
        await outbox.open()
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    await outbox.close()


# A database that goes and comes


@pytest.fixture
def own_server():
    """A server of the test's own, which syncs."""
    with server(synced=True) as running:
        yield running


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_nothing_acknowledged_is_lost_when_the_server_stops_and_starts(own_server, mode):
    outbox = PostgresOutbox(own_server.url())
    await outbox.open()
    acknowledged: list[str] = []
    enough, stopping, refused = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def post(session_id):
        for number in range(100_000):
            try:
                await outbox.accept("p", session_id, [turn(f"{session_id}-{number}")])
            except StorageFailed:
                if stopping.is_set():
                    refused.set()
                    return
                continue
            acknowledged.append(f"{session_id}-{number}")
            if len(acknowledged) == 500:
                enough.set()

    posting = [asyncio.create_task(post(f"s{number}")) for number in range(8)]
    async with asyncio.timeout(60):
        await enough.wait()
        stopping.set()
        await asyncio.to_thread(own_server.stop, mode)
        await asyncio.gather(*posting)
        assert refused.is_set()
        assert outbox.is_serving()
        await asyncio.to_thread(own_server.start)
        assert (await outbox.accept("p", "after", [turn("a")])).accepted == ["a"]
        kept = [name for number in range(8) for name in await waiting(outbox, f"s{number}")]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))
    await outbox.close()


async def test_while_the_server_is_away_everything_fails_in_time_and_then_works_again(
    own_server, monkeypatch
):
    monkeypatch.setattr(postgres_connections, "RUN_S", 1.0)  # for a connection
    outbox = PostgresOutbox(own_server.url())
    await outbox.open()
    woken = asyncio.Queue()
    listening = asyncio.create_task(outbox.listen(lambda: woken.put_nowait(None), id))
    await outbox.accept("p", "s", [turn("a")])
    claim = await outbox.claim()
    await asyncio.to_thread(own_server.stop)
    async with asyncio.timeout(20):
        asked = [
            outbox.accept("p", "s", [turn("b")]),
            outbox.claim(),
            outbox.delivered(claim),
            outbox.depth(),
        ]
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(each) for each in results} == {StorageFailed}
    await asyncio.to_thread(own_server.start)
    async with asyncio.timeout(20):
        assert await outbox.delivered(claim)
        assert (await outbox.accept("p", "s", [turn("b")])).accepted == ["b"]
        while not woken.empty():
            woken.get_nowait()
        await woken.get()  # it listens again
    listening.cancel()
    await asyncio.wait([listening])
    await outbox.close()
