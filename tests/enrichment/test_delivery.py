"""From the outbox into memory: order, repeats, crashes, outages, poison."""

from __future__ import annotations

import asyncio

import pytest

from broker.edge.telemetry import configure_logging
from enrichment.breaker import IN_A_ROW
from enrichment.delivery import PARK_AFTER_S, Delivery, backoff_s
from enrichment.memory.port import Rejected, Unreachable
from enrichment.outbox.port import LEASE_S
from tests.enrichment.build import FakeMemory, SlowMemory, turn


def delivery(outbox, memory):
    return Delivery(outbox, memory, jitter=lambda _low, high: high)


async def drain(delivery):
    while await delivery.deliver_one():
        pass


async def test_a_session_reaches_memory_in_order_and_once(outbox):
    memory = FakeMemory()
    await outbox.accept("p", "s", [turn("a"), turn("b"), turn("c")])
    await drain(delivery(outbox, memory))
    assert memory.ids("s") == ["a", "b", "c"]
    assert (await outbox.depth()).pending == 0


async def test_a_crash_after_remembering_repeats_harmlessly(outbox, clock):
    memory = FakeMemory()
    await outbox.accept("p", "s", [turn("a")])
    claim = await outbox.claim()
    await memory.remember("p", "s", claim.turns)  # and the process dies here
    clock.pass_s(LEASE_S)
    await drain(delivery(outbox, memory))
    assert memory.ids("s") == ["a"]


async def test_an_outage_loses_nothing_and_is_waited_out_with_growing_patience(outbox, clock):
    memory = FakeMemory(*[Unreachable("down") for _ in range(4)])
    await outbox.accept("p", "s", [turn("a"), turn("b")])
    subject = delivery(outbox, memory)
    waited = []
    while (due_s := await outbox.next_due_s()) is not None:
        clock.pass_s(due_s)
        waited.append(due_s)
        await subject.deliver_one()
    assert waited == [0, 1, 2, 4, 5]
    assert memory.ids("s") == ["a", "b"]
    assert subject.last_error == "Unreachable"


async def test_memory_s_own_wish_to_wait_is_kept(outbox):
    memory = FakeMemory(Unreachable("busy", retry_after_s=33))
    await outbox.accept("p", "s", [turn("a")])
    await delivery(outbox, memory).deliver_one()
    assert await outbox.next_due_s() == 33


async def test_a_stuck_session_does_not_hold_up_another(outbox):
    memory = FakeMemory(Unreachable("down"))
    await outbox.accept("p", "stuck", [turn("a")])
    await outbox.accept("p", "fine", [turn("x")])
    await drain(delivery(outbox, memory))
    assert memory.ids("fine") == ["x"]


async def test_poison_parks_alone(outbox):
    memory = FakeMemory(Rejected("b", "too long"))
    await outbox.accept("p", "s", [turn("a"), turn("b"), turn("c")])
    await drain(delivery(outbox, memory))
    assert memory.ids("s") == ["a", "c"]
    assert (await outbox.depth()).parked == 1


async def test_waiting_doubles_up_to_five_minutes():
    assert [backoff_s(attempts) for attempts in (0, 1, 5, 9, 1000)] == [1, 2, 32, 300, 300]


async def test_what_is_accepted_wakes_the_delivery(outbox):
    memory = FakeMemory()
    subject = delivery(outbox, memory)
    task = asyncio.create_task(subject.run())
    async with asyncio.timeout(5):
        for number in range(3):
            await outbox.accept("p", "s", [turn(f"t{number}")])
            subject.wake()
            assert await memory.arrived.get() == f"t{number}"
    task.cancel()
    await asyncio.wait([task])


async def test_a_bug_in_a_memory_makes_one_session_wait_and_no_other(outbox, clock):
    memory = FakeMemory(KeyError("bug"))
    await outbox.accept("p", "unlucky", [turn("a")])
    await outbox.accept("p", "fine", [turn("x")])
    subject = delivery(outbox, memory)
    await drain(subject)
    assert (memory.ids("fine"), memory.ids("unlucky")) == (["x"], [])
    assert subject.last_error == "KeyError"
    assert await outbox.next_due_s() == 1
    clock.pass_s(1)
    await drain(subject)
    assert memory.ids("unlucky") == ["a"]


async def test_what_a_bug_s_error_says_is_kept_nowhere(outbox, tmp_path, capfd):
    configure_logging("DEBUG")
    await outbox.accept("p", "s", [turn("a")])
    await drain(delivery(outbox, FakeMemory(KeyError("canary"))))
    logged = "".join(capfd.readouterr())
    assert '"error": "KeyError"' in logged
    assert " remember" in logged  # where it happened
    assert "canary" not in logged
    assert not any(b"canary" in path.read_bytes() for path in tmp_path.iterdir())


async def test_a_rejection_of_a_turn_that_was_not_delivered_waits_instead_of_spinning(outbox):
    memory = FakeMemory(Rejected("of another session", "too long"))
    await outbox.accept("p", "s", [turn("a")])
    subject = delivery(outbox, memory)
    assert await subject.deliver_one()
    assert not await subject.deliver_one()
    assert await outbox.next_due_s() == 1
    depth = await outbox.depth()
    assert (depth.pending, depth.parked, subject.last_error) == (1, 0, "Rejected")


async def test_a_bug_in_the_outbox_ends_the_delivery_loudly():
    class Broken:
        async def claim(self):
            raise KeyError("bug")

    with pytest.raises(ExceptionGroup) as caught:
        await delivery(Broken(), FakeMemory()).run()
    assert caught.group_contains(KeyError)


async def ended(task):
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_a_clean_end_in_the_middle_of_a_delivery_leaves_nothing_leased(outbox):
    memory = SlowMemory()
    await outbox.accept("p", "s", [turn("a"), turn("b")])
    task = asyncio.create_task(delivery(outbox, memory).run())
    async with asyncio.timeout(5):
        await memory.asked.wait()
    await ended(task)
    after_the_restart = FakeMemory()
    await drain(delivery(outbox, after_the_restart))
    assert after_the_restart.ids("s") == ["a", "b"]


async def test_a_clean_end_in_the_middle_of_a_claim_leaves_nothing_leased(outbox, monkeypatch):
    asked = asyncio.Event()

    async def claim(really=outbox.claim):
        asked.set()
        return await really()

    monkeypatch.setattr(outbox, "claim", claim)
    await outbox.accept("p", "s", [turn("a")])
    task = asyncio.create_task(delivery(outbox, FakeMemory()).deliver_one())
    async with asyncio.timeout(5):
        await asked.wait()
    await ended(task)
    assert await outbox.next_due_s() == 0


async def test_an_outbox_that_cannot_be_written_does_not_hold_up_the_end(outbox, monkeypatch):
    monkeypatch.setattr("enrichment.delivery.RELEASE_S", 0.05)
    memory = SlowMemory()
    await outbox.accept("p", "s", [turn("a")])
    never = asyncio.Event()

    async def postpone(claim, **_how):
        await never.wait()

    monkeypatch.setattr(outbox, "postpone", postpone)
    task = asyncio.create_task(delivery(outbox, memory).run())
    async with asyncio.timeout(5):
        await memory.asked.wait()
    await ended(task)
    never.set()


async def test_a_memory_that_is_down_is_left_alone_and_nothing_grows_old_meanwhile(outbox, clock):
    memory = FakeMemory(*[Unreachable("down")] * IN_A_ROW)
    for number in range(IN_A_ROW + 1):
        await outbox.accept("p", f"s{number}", [turn("a")])
    subject = delivery(outbox, memory)
    for _ in range(IN_A_ROW):
        await subject.deliver_one()
    assert subject.breaker.is_open
    assert subject.breaker.admit() > 0
    assert [line.attempts for line in await outbox.lines(state=None, limit=9)] == [1] * IN_A_ROW + [0]


async def test_what_memory_says_about_a_turn_is_an_answer_and_no_outage(outbox):
    memory = FakeMemory(*[Rejected("a", "no")] * IN_A_ROW)
    for number in range(IN_A_ROW):
        await outbox.accept("p", f"s{number}", [turn("a")])
    subject = delivery(outbox, memory)
    await drain(subject)
    assert not subject.breaker.is_open


async def test_a_turn_is_parked_by_age_and_never_by_how_often_it_was_tried(outbox, clock):
    memory = FakeMemory(*[Unreachable("down")] * 102)
    await outbox.accept("p", "s", [turn("a")])
    subject = delivery(outbox, memory)
    for _ in range(100):
        await subject.deliver_one()
        clock.pass_s(60)
    assert (await outbox.depth()).parked == 0
    clock.pass_s(PARK_AFTER_S)
    await subject.deliver_one()
    (entry,) = await outbox.entries("s")
    assert (entry.state, entry.reason) == ("parked", "too old: down")


@pytest.mark.parametrize(("asked_s", "waited_s"), [(-5, 0), (33, 33), (86_400, 300)])
async def test_memory_s_wish_is_kept_within_reason(outbox, asked_s, waited_s):
    await outbox.accept("p", "s", [turn("a")])
    await delivery(outbox, FakeMemory(Unreachable("busy", retry_after_s=asked_s))).deliver_one()
    assert await outbox.next_due_s() == waited_s
