"""What a reviewer found to be possible once, and must never be again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psycopg
import pytest

from enrichment.delivery import PARK_AFTER_S, Delivery
from enrichment.disk import Room
from enrichment.erasure import Erasure
from enrichment.memory.embedded import EmbeddedMemory
from enrichment.memory.port import Unreachable
from enrichment.order import HOLD_BACK_S
from enrichment.outbox.port import LEASE_S
from enrichment.settings import Settings
from enrichment.sweep import Sweep
from enrichment.turns import clean
from tests.enrichment.build import DownMemory, FakeMemory, turn
from tests.enrichment.outboxes import is_waiting_for_a_lock
from tests.enrichment.service import as_person, problem, service
from tests.enrichment.zeps import simulated_zep
from tests.waiting import until

DAY_S = 86_400.0


def nobody(_person):
    pass


class ForgetsPersonsLater(FakeMemory):
    """Could not be reached the first time it was asked to forget a person."""

    def __init__(self):
        super().__init__()
        self.is_down = True

    async def forget_person(self, person):
        if self.is_down:
            self.is_down = False
            raise Unreachable("down")
        return await super().forget_person(person)


async def drain(delivery):
    while await delivery.deliver_one():
        pass


async def test_what_a_person_says_after_an_erasure_outlives_the_repeated_order(each_outbox, clock):
    """Accepted with a new grant, delivered, and then wiped by the order of before."""
    memory = ForgetsPersonsLater()
    delivery = Delivery(each_outbox, memory)
    erasure = Erasure(each_outbox, memory, nobody, clock)
    await each_outbox.accept("p", "old", [turn("a")], granted_at=clock())
    await drain(delivery)
    assert (await erasure.person("p")).memory is None  # memory has still to confirm
    clock.pass_s(5)
    assert (await each_outbox.accept("p", "new", [turn("b")], granted_at=clock())).accepted == ["b"]
    await drain(delivery)
    await erasure.carry_out()
    await drain(delivery)
    assert memory.ids("old") == []
    assert memory.ids("new") == ["b"]


async def test_an_erasure_with_a_delivery_in_flight_keeps_what_is_said_later(each_outbox, clock):
    """The same without any failure: the order is not ripe before the lease ends."""
    memory = FakeMemory()
    delivery = Delivery(each_outbox, memory)
    erasure = Erasure(each_outbox, memory, nobody, clock)
    await each_outbox.accept("p", "old", [turn("a")], granted_at=clock())
    await each_outbox.claim()
    await erasure.person("p")
    clock.pass_s(5)
    await each_outbox.accept("p", "new", [turn("b")], granted_at=clock())
    await drain(delivery)
    clock.pass_s(LEASE_S)
    await erasure.carry_out()
    await drain(delivery)
    assert memory.ids("new") == ["b"]


class BusyWhileForgetting(FakeMemory):
    """``meanwhile`` happens during the first forgetting."""

    def __init__(self):
        super().__init__()
        self.meanwhile = None

    async def forget_session(self, person, session_id):
        if self.meanwhile is not None:
            happen, self.meanwhile = self.meanwhile, None
            await happen(session_id)
        return await super().forget_session(person, session_id)


async def test_a_session_that_is_written_to_again_during_the_sweep_keeps_the_new_turn(each_outbox, clock):
    memory = BusyWhileForgetting()
    delivery = Delivery(each_outbox, memory)
    for session_id in ("s-1", "s-2"):
        await each_outbox.accept("p", session_id, [turn("old")])
    await drain(delivery)
    clock.pass_s(91 * DAY_S)

    async def write_to_the_other(session_id):
        other = {"s-1": "s-2", "s-2": "s-1"}[session_id]
        memory.other = other
        await each_outbox.accept("p", other, [turn("new")])
        await drain(delivery)

    memory.meanwhile = write_to_the_other
    erasure = Erasure(each_outbox, memory, nobody, clock)
    await Sweep(each_outbox, erasure, 90 * DAY_S).expire()
    await drain(delivery)
    assert "new" in memory.ids(memory.other)


class RefusesOneSession(FakeMemory):
    async def forget_session(self, person, session_id):
        if session_id == "s-poison":
            raise Unreachable("this one always fails")
        return await super().forget_session(person, session_id)


async def test_one_session_that_cannot_be_forgotten_stops_no_other_from_expiring(each_outbox, clock):
    memory = RefusesOneSession()
    delivery = Delivery(each_outbox, memory)
    await each_outbox.accept("p", "s-poison", [turn("a")])
    clock.pass_s(1)
    await each_outbox.accept("q", "s-good", [turn("a")])
    await drain(delivery)
    clock.pass_s(91 * DAY_S)
    sweep = Sweep(each_outbox, Erasure(each_outbox, memory, nobody, clock), 90 * DAY_S)
    for _ in range(3):
        await sweep.expire()
    assert memory.ids("s-good", "q") == []


@pytest.mark.parametrize("count", [300, 1_100])
async def test_a_long_session_that_was_posted_in_reverse_is_delivered_in_order(each_outbox, clock, count):
    """As while memory is down. More pending turns than a claim looks at."""
    memory = FakeMemory()
    delivery = Delivery(each_outbox, memory)
    turns = [turn(f"t{n}", after=f"t{n - 1}" if n else None) for n in range(count)]
    for start in range(0, count, 30):
        chunk = [*reversed(turns)][start : start + 30]
        await each_outbox.accept("p", "s", chunk)
    for _ in range(3):
        await drain(delivery)
        clock.pass_s(HOLD_BACK_S + 1)
    assert memory.ids("s") == [each.turn_id for each in turns]


async def test_what_is_parked_for_its_age_is_the_old_turn(each_outbox, clock):
    delivery = Delivery(each_outbox, DownMemory(), jitter=lambda low, high: low)
    await each_outbox.accept("p", "s", [turn("b", after="a")])
    clock.pass_s(PARK_AFTER_S + 60)
    await each_outbox.accept("p", "s", [turn("a")])
    await delivery.deliver_one()
    states = {entry.turn_id: entry.state for entry in await each_outbox.entries("s")}
    assert states["a"] == "pending", states


async def test_an_erasure_waits_for_a_delivery_whose_answer_was_given_up(each_outbox, clock):
    """The request that timed out may still be at work in memory; the lease of the time is what bounds it."""
    await each_outbox.accept("p", "s", [turn("a")])
    claim = await each_outbox.claim()
    await each_outbox.postpone(claim, delay_s=1, reason="memory took too long")
    assert (await each_outbox.erase_session("p", "s")).leased_until > 0


class FrozenThenDown(FakeMemory):
    """Remembers only after ``meanwhile``; then it cannot be reached once."""

    def __init__(self, meanwhile):
        super().__init__()
        self.meanwhile = meanwhile
        self.is_down = False

    async def remember(self, person, session_id, turns):
        await self.meanwhile()
        await super().remember(person, session_id, turns)
        self.is_down = True

    async def forget_session(self, person, session_id):
        if self.is_down:
            self.is_down = False
            raise Unreachable("down")
        return await super().forget_session(person, session_id)


async def test_what_a_frozen_deliverer_brought_back_is_forgotten_although_memory_was_down(each_outbox, clock):
    async def erase():
        clock.pass_s(LEASE_S + 1)
        await erasure.session("p", "s")

    memory = FrozenThenDown(erase)
    erasure = Erasure(each_outbox, memory, nobody, clock)
    await each_outbox.accept("p", "s", [turn("a")])
    await Delivery(each_outbox, memory).deliver_one()
    clock.pass_s(LEASE_S + 1)
    await erasure.carry_out()
    assert memory.ids("s") == []


class BreaksWhenForgetting(FakeMemory):
    asked = 0

    async def forget_session(self, *_whom):
        self.asked += 1
        raise KeyError("a bug of an SDK")

    forget_person = forget_session


async def test_a_bug_in_forgetting_ends_no_delivery(each_outbox, clock):
    memory = BreaksWhenForgetting()
    await each_outbox.accept("p", "s", [turn("a")])
    remember = memory.remember

    async def erased_meanwhile(person, session_id, turns):
        await each_outbox.erase_session("p", "s")
        await remember(person, session_id, turns)

    memory.remember = erased_meanwhile
    assert await Delivery(each_outbox, memory).deliver_one()


async def test_a_bug_in_forgetting_ends_no_sweep(tmp_path, keys):
    memory = BreaksWhenForgetting()
    async with service(tmp_path, memory) as client:
        assert (await client.delete("/memory/users/me")).status_code == 202
        asked = memory.asked
    async with service(tmp_path, memory) as client:  # the order stands, and is the first that the sweep sees
        assert await until(lambda: asyncio.sleep(0, memory.asked > asked))
        assert (await client.get("/ready")).status_code == 200


@pytest.mark.parametrize("cursor", ["99999999999999999999", "-99999999999999999999", "1" * 5000, "%00", "x"])
async def test_no_cursor_makes_a_500(open_to_all, cursor):
    problem(await open_to_all.get(f"/memory/episodes?cursor={cursor}"), 422, "invalid-request")


async def test_a_declared_length_of_many_digits_makes_no_500(open_to_all):
    headers = {"Content-Length": "9" * 5000, "Content-Type": "application/json"}
    response = await open_to_all.post("/memory/enrich", content=b"{}", headers=headers)
    assert response.status_code == 413


def test_a_text_of_accents_takes_no_time_that_others_miss():
    """64 KiB fit into a body, and are looked at before anybody has to show a grant."""
    text = "a" + "\u0315\u0300" * 15_900
    began = time.process_time()
    clean(text)
    assert time.process_time() - began < 0.1


async def test_erased_words_are_not_in_the_files_of_the_embedded_memory(tmp_path):
    memory = EmbeddedMemory(tmp_path / "memory.db")
    for number in range(50):
        await memory.remember("q", "other", [turn(f"t{number}", f"harmless words {number}")])
    await memory.remember("p", "s", [turn("secret", "my password is xyzzyplugh")])
    await memory.forget_person("p")
    await memory.close()
    assert [path.name for path in tmp_path.iterdir() if b"xyzzyplugh" in path.read_bytes()] == []


async def test_erased_words_are_not_in_the_files_while_the_service_runs(tmp_path):
    memory = EmbeddedMemory(tmp_path / "memory.db")
    await memory.remember("p", "s", [turn("secret", "my password is xyzzyplugh")])
    await memory.forget_person("p")
    found = [path.name for path in tmp_path.iterdir() if b"xyzzyplugh" in path.read_bytes()]
    await memory.close()
    assert found == []


def test_a_ballast_that_does_not_fit_stops_no_start(tmp_path):
    Room(tmp_path / "outbox.db", ballast_bytes=1 << 50).keep_ballast()
    assert not Path(tmp_path / "outbox.db.ballast").exists()


def test_the_ballast_itself_does_not_make_the_disk_nearly_full(tmp_path, monkeypatch):
    total, other = 1_000_000_000, 890_000_000  # 110 MB free, 100 MB is the least

    class Usage:
        def __init__(self):
            kept = sum(path.stat().st_size for path in tmp_path.iterdir())
            self.total, self.free = total, total - other - kept

    monkeypatch.setattr("enrichment.disk.shutil.disk_usage", lambda _folder: Usage())
    room = Room(tmp_path / "outbox.db", ballast_bytes=64 * 1024 * 1024)
    room.keep_ballast()
    assert not room.is_short()


async def test_another_replica_tells_nothing_that_was_erased(tmp_path, keys, database):
    memory = EmbeddedMemoryOfAll(tmp_path / "shared.db")
    signed = {"auth_required": True, "auth_dev_tokens": True, "database_url": database}
    async with (
        service(tmp_path / "a", memory, **signed) as a,
        service(tmp_path / "b", memory, **signed) as b,
    ):
        await memory.remember("dev:ann", "s", [turn("x", "my password is xyzzyplugh")])
        headers = as_person("ann")
        assert "xyzzyplugh" in (await b.get("/memory/context", headers=headers)).text
        erased = await a.delete("/memory/users/me", headers=headers)
        assert erased.json()["complete"] is True

        async def told_nothing():
            return "xyzzyplugh" not in (await b.get("/memory/context", headers=headers)).text

        assert await until(told_nothing, within_s=3.0)
    await memory.really_close()


class EmbeddedMemoryOfAll(EmbeddedMemory):
    async def close(self):
        pass

    async def really_close(self):
        await super().close()


async def test_a_session_that_somebody_holds_locked_stops_no_other_from_being_accepted(replicas, database):
    outbox = await replicas()
    await outbox.accept("p", "held", [turn("a")])
    with psycopg.connect(database) as connection:
        connection.execute("SELECT FROM outbox_session WHERE session_id = 'held' FOR UPDATE")
        stuck = asyncio.create_task(outbox.accept("p", "held", [turn("b")]))
        await until(lambda: is_waiting_for_a_lock(connection))
        began = time.monotonic()
        results = await asyncio.gather(outbox.accept("q", "free", [turn("c")]), return_exceptions=True)
        took = time.monotonic() - began
        connection.rollback()
    await asyncio.gather(stuck, return_exceptions=True)
    assert not isinstance(results[0], Exception), results
    assert took < 1


@pytest.mark.parametrize("path", ["/memory/episodes/%00", "/memory/episodes/a%00b"])
async def test_nul_in_a_path_is_no_failure_of_storage(tmp_path, keys, database, path):
    async with service(tmp_path, FakeMemory(), database_url=database) as client:
        assert (await client.get(path)).status_code == 404


def test_replicas_do_not_each_keep_a_memory_of_their_own(tmp_path):
    with pytest.raises(ValueError, match=r"memory_backend"):
        Settings(
            environment="production",
            auth_required=True,
            data_dir=tmp_path,
            database_url="postgresql://u:p@h/d",
            grant_jwks_url="https://b.example.org/jwks",
            cors_origins='["https://a.example.org"]',
        )


@pytest.mark.parametrize("whole_person", [False, True])
async def test_a_delivery_to_zep_that_an_erasure_overtakes_leaves_nothing_of_nobody_s(
    outbox, clock, monkeypatch, whole_person
):
    """Zep makes a session of nobody's for a message that comes after its session was deleted."""
    async with simulated_zep() as zep:
        memory = zep.memory()
        erasure = Erasure(outbox, memory, nobody, clock)
        add = memory._add

        async def overtaken(person, session_id, what):
            if what.turn_id == "b":
                await (erasure.person("p") if whole_person else erasure.session("p", "s"))
            await add(person, session_id, what)

        monkeypatch.setattr(memory, "_add", overtaken)
        await outbox.accept("p", "s", [turn("a"), turn("b", "my password is xyzzyplugh")])
        await Delivery(outbox, memory).deliver_one()
        clock.pass_s(LEASE_S + 1)
        assert await erasure.carry_out() == 0
        assert await outbox.orders() == []
        left = [message["content"] for each in zep.store.sessions.values() for message in each.messages]
        assert left == []


async def test_a_replica_whose_clock_is_ahead_forgets_nothing_before_its_time(replicas):
    """Times are the database's, says the README; the sweep goes by the replica's own."""
    outbox = await replicas(now=None)
    memory = FakeMemory()
    await outbox.accept("p", "s", [turn("a")])
    await drain(Delivery(outbox, memory))
    erasure = Erasure(outbox, memory, nobody, lambda: time.time() + 91 * DAY_S)
    await Sweep(outbox, erasure, 90 * DAY_S).expire()
    assert memory.ids("s") == ["a"]


async def test_retention_takes_nothing_that_memory_never_had(each_outbox, clock):
    """With DATA_RETENTION_DAYS=1 and a memory that was down for longer than that."""
    memory = FakeMemory()
    await each_outbox.accept("p", "s", [turn("a")])
    clock.pass_s(1.5 * DAY_S)
    await Sweep(each_outbox, Erasure(each_outbox, memory, nobody, clock), DAY_S).expire()
    await drain(Delivery(each_outbox, memory))
    assert memory.ids("s") == ["a"]
