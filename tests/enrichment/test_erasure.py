"""What somebody wants forgotten is forgotten, and nothing that was on its way brings it back."""

from __future__ import annotations

import asyncio

import pytest

from enrichment.delivery import Delivery
from enrichment.erasure import Erasure
from enrichment.memory.port import ForgottenLater, Unreachable
from enrichment.outbox.port import LEASE_S, Erased
from enrichment.sweep import Sweep
from tests.enrichment.build import FakeMemory, turn
from tests.enrichment.service import as_bearer, as_person, delivered, grant, problem, said, service

DAY_S = 86_400.0


class Forgetful(FakeMemory):
    """Refuses to forget as often as it is told to."""

    def __init__(self, *refusals):
        super().__init__()
        self.refusals = list(refusals)

    async def forget_session(self, person, session_id):
        if self.refusals:
            raise self.refusals.pop(0)
        return await super().forget_session(person, session_id)


def erasure(outbox, memory, clock):
    return Erasure(outbox, memory, lambda _person: None, clock)


async def test_an_erased_session_is_gone_from_outbox_and_memory_with_a_certificate(outbox, clock):
    memory = FakeMemory()
    await outbox.accept("p", "s", [turn("a"), turn("b")])
    await Delivery(outbox, memory).deliver_one()
    await outbox.accept("p", "s", [turn("c")])
    certificate = (await erasure(outbox, memory, clock).session("p", "s")).as_json()
    assert certificate["outbox"] == {"sessions": 1, "turns": 3}
    assert certificate["memory"] == {"sessions": 1, "turns": 2}
    assert certificate["complete"] is True
    assert (memory.ids("s"), await outbox.pending("p", "s"), await outbox.orders()) == ([], [], [])


async def test_a_late_post_to_an_erased_session_is_refused(outbox, clock):
    await erasure(outbox, FakeMemory(), clock).session("p", "s")
    with pytest.raises(Erased):
        await outbox.accept("p", "s", [turn("late")])


async def test_an_erased_person_may_come_back_with_a_new_grant_and_not_with_an_old_one(outbox, clock):
    await outbox.accept("p", "old", [turn("a")], granted_at=clock())
    await erasure(outbox, FakeMemory(), clock).person("p")
    for session_id in ("old", "never seen before"):
        with pytest.raises(Erased):
            await outbox.accept("p", session_id, [turn("late")], granted_at=clock())
    clock.pass_s(1)
    assert (await outbox.accept("p", "new", [turn("a")], granted_at=clock())).accepted == ["a"]


async def test_a_delivery_in_flight_cannot_bring_back_what_is_erased(outbox, clock):
    memory = FakeMemory()
    memory.gate = asyncio.Event()
    await outbox.accept("p", "s", [turn("a")])

    class Slow(FakeMemory):
        kept = memory.kept

        async def remember(self, person, session_id, turns):
            await memory.gate.wait()
            await super().remember(person, session_id, turns)

    delivering = asyncio.create_task(Delivery(outbox, Slow()).deliver_one())
    while not (await outbox.lines(state="pending", limit=1))[0].due_at > clock():
        await asyncio.sleep(0)
    certificate = await erasure(outbox, memory, clock).session("p", "s")
    assert certificate.memory is None  # a deliverer was at work: not yet
    memory.gate.set()
    await delivering
    assert memory.ids("s") == []


async def test_an_erasure_is_only_complete_when_no_lease_can_be_alive_any_more(outbox, clock):
    memory = FakeMemory()
    await outbox.accept("p", "s", [turn("a")])
    claim = await outbox.claim()
    subject = erasure(outbox, memory, clock)
    await subject.session("p", "s")
    await memory.remember("p", "s", claim.turns)  # by a process that dies before it settles
    assert await subject.carry_out() == 1
    clock.pass_s(LEASE_S)
    assert await subject.carry_out() == 0
    assert (memory.ids("s"), await outbox.orders()) == ([], [])


async def test_asking_again_does_not_make_an_erasure_complete_before_the_lease_has_ended(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    await outbox.claim()
    subject = erasure(outbox, FakeMemory(), clock)
    certificates = [await subject.session("p", "s"), await subject.session("p", "s")]
    assert [each.memory for each in certificates] == [None, None]
    assert len(await outbox.orders()) == 1
    clock.pass_s(LEASE_S)
    assert (await subject.session("p", "s")).memory is not None


@pytest.mark.parametrize("refusal", [Unreachable("down"), ForgottenLater()])
async def test_a_memory_that_is_down_forgets_when_it_is_back(outbox, clock, refusal):
    memory = Forgetful(refusal)
    await memory.remember("p", "s", [turn("a")])
    subject = erasure(outbox, memory, clock)
    assert (await subject.session("p", "s")).as_json()["complete"] is False
    assert memory.ids("s") == ["a"]
    assert await subject.carry_out() == 0
    assert memory.ids("s") == []


async def test_nobody_erases_what_is_somebody_else_s(signed_in):
    body = {"grant": grant("dev:alice"), "turns": [said("u1")]}
    await signed_in.post("/memory/enrich", json=body)
    await delivered(signed_in, "s-1", 1, as_person("alice"))
    bob = as_person("bob")
    problem(await signed_in.delete("/memory/episodes/s-1", headers=bob), 404, "unknown-episode")
    problem(await signed_in.delete("/memory/users/dev:alice", headers=bob), 403, "not-allowed")
    problem(await signed_in.delete("/memory/users/me"), 401, "not-signed-in")
    bears = as_bearer(grant("dev:alice"))
    problem(await signed_in.delete("/memory/users/me", headers=bears), 401, "not-signed-in")
    assert await delivered(signed_in, "s-1", 1, as_person("alice"))


async def test_a_person_erases_a_session_and_then_everything_over_http(signed_in):
    alice = as_person("alice")
    for session_id in ("s-1", "s-2"):
        body = {"grant": grant("dev:alice", session_id), "turns": [said("u1")]}
        await signed_in.post("/memory/enrich", json=body)
        await delivered(signed_in, session_id, 1, alice)
    response = await signed_in.delete("/memory/episodes/s-1", headers=alice)
    assert (response.status_code, response.json()["memory"]["turns"]) == (200, 1)
    body = {"grant": grant("dev:alice", "s-1"), "turns": [said("late")]}
    problem(await signed_in.post("/memory/enrich", json=body), 410, "erased")
    assert (await signed_in.delete("/memory/users/me", headers=alice)).json()["complete"] is True
    assert (await signed_in.get("/memory/episodes", headers=alice)).json()["episodes"] == []
    assert (await signed_in.get("/memory/context", headers=alice)).json()["facts"] == []


async def test_an_operator_erases_anybody(tmp_path, keys):
    admin = {"Authorization": "Bearer dev_root_admin"}
    async with service(tmp_path, auth_required=True, auth_dev_tokens=True) as client:
        await client.post("/memory/enrich", json={"grant": grant("dev:alice"), "turns": [said("u1")]})
        await delivered(client, "s-1", 1, as_person("alice"))
        response = await client.delete("/memory/users/dev:alice", headers=admin)
        assert response.json()["memory"] == {"sessions": 1, "turns": 1}


async def test_sessions_that_nobody_wrote_to_for_long_enough_are_forgotten_and_others_not(outbox, clock):
    memory = FakeMemory()
    for session_id in ("old", "new"):
        await outbox.accept("p", session_id, [turn("a")])
        await Delivery(outbox, memory).deliver_one()
        clock.pass_s(50 * DAY_S)
    sweep = Sweep(outbox, erasure(outbox, memory, clock), 90 * DAY_S)
    assert await sweep.expire() == 1
    assert (memory.ids("old"), memory.ids("new")) == ([], ["a"])
    assert [line.session_id for line in await outbox.lines(state=None, limit=9)] == ["new"]


async def test_a_session_that_expired_may_be_written_to_again(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    await Delivery(outbox, FakeMemory()).deliver_one()
    clock.pass_s(91 * DAY_S)
    assert await outbox.expire(90 * DAY_S, 9) == 1
    assert (await outbox.accept("p", "s", [turn("a")])).accepted == ["a"]


async def test_the_certificate_says_when(tmp_path, keys):
    async with service(tmp_path) as client:
        certificate = (await client.delete("/memory/episodes/s-1")).json()
    assert certificate["erased_at"].startswith("2026-11-")
    assert certificate["session_id"] == "s-1"


@pytest.mark.parametrize("person", ["%00", "a%20b", "%e2%80%ae", "x" * 201])
async def test_a_person_who_cannot_be_is_a_problem(tmp_path, keys, person):
    admin = {"Authorization": "Bearer dev_root_admin"}
    async with service(tmp_path, auth_required=True, auth_dev_tokens=True) as client:
        problem(await client.delete(f"/memory/users/{person}", headers=admin), 422, "invalid-request")
