"""What every outbox promises, whichever engine keeps it: erasure, retention, what operators do, the end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from enrichment.outbox.port import LEASE_S, Emptied, Erased, ForeignSession, Order
from tests.enrichment.build import turn
from tests.enrichment.crashing import SESSIONS, opened
from tests.enrichment.outboxes import deliver, ids, parked, states, waiting

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def outbox(each_outbox):
    return each_outbox


# Erasure


async def test_an_erased_session_is_gone_and_takes_nothing_more(outbox):
    await outbox.accept("p", "s", [turn("a"), turn("b")])
    await outbox.accept("p", "other", [turn("c")])
    assert await outbox.erase_session("p", "s") == Emptied(sessions=1, turns=2, leased_until=0)
    assert await waiting(outbox) == []
    assert await outbox.entries("s") == []
    with pytest.raises(Erased):
        await outbox.accept("p", "s", [turn("late")])
    assert ids(await outbox.claim()) == ["c"]
    assert await outbox.claim() is None


async def test_a_session_that_never_was_is_erased_too(outbox):
    assert await outbox.erase_session("p", "s") == Emptied(0, 0, 0)
    with pytest.raises(Erased):
        await outbox.accept("p", "s", [turn("late")])


async def test_erasing_twice_finds_nothing_the_second_time(outbox):
    await outbox.accept("p", "s", [turn("a")])
    await outbox.erase_session("p", "s")
    assert await outbox.erase_session("p", "s") == Emptied(0, 0, 0)


async def test_nobody_erases_somebody_else_s_session(outbox):
    await outbox.accept("alice", "s", [turn("a")])
    with pytest.raises(ForeignSession):
        await outbox.erase_session("bob", "s")
    assert await outbox.orders() == []
    assert (await outbox.accept("alice", "s", [turn("b")])).accepted == ["b"]
    assert await waiting(outbox, person="alice") == ["a", "b"]


async def test_a_deliverer_in_flight_is_told_to_undo(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    claim = await outbox.claim()
    assert (await outbox.erase_session("p", "s")).leased_until == clock() + LEASE_S
    assert await outbox.delivered(claim) is False
    await outbox.postpone(claim, delay_s=0, reason="down")
    await outbox.park(claim, "a", reason="too long")
    assert await outbox.claim() is None
    assert await outbox.next_due_s() is None


async def test_after_an_erasure_also_the_last_lease_is_void(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    frozen = await outbox.claim()
    clock.pass_s(LEASE_S)
    await outbox.delivered(await outbox.claim())
    await outbox.erase_person("p")
    assert await outbox.delivered(frozen) is False


async def test_an_erased_person_leaves_nothing(outbox, clock):
    for number in range(3):
        await outbox.accept("p", f"s{number}", [turn("a"), turn("b")])
    await outbox.accept("other", "theirs", [turn("x")])
    claim = await outbox.claim()
    assert await outbox.erase_person("p") == Emptied(sessions=3, turns=6, leased_until=clock() + LEASE_S)
    assert await outbox.delivered(claim) is False
    assert await outbox.pending_sessions("p") == []
    assert ids(await outbox.claim()) == ["x"]
    assert await outbox.erase_person("nobody") == Emptied(0, 0, 0)


async def test_after_a_person_was_erased_their_older_grants_are_refused(outbox, clock):
    await outbox.erase_person("p")
    for granted_at in (clock() - 60, clock()):
        with pytest.raises(Erased):
            await outbox.accept("p", "new", [turn("late")], granted_at=granted_at)
    assert await outbox.entries("new") == []
    assert (await outbox.accept("p", "new", [turn("a")], granted_at=clock() + 1)).accepted == ["a"]
    assert (await outbox.accept("other", "x", [turn("a")], granted_at=clock() - 60)).accepted == ["a"]


async def test_a_session_of_an_erased_person_stays_erased_for_newer_grants_too(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    await outbox.erase_person("p")
    clock.pass_s(60)
    with pytest.raises(Erased):
        await outbox.accept("p", "s", [turn("b")], granted_at=clock())


async def test_erasing_a_person_again_moves_the_line(outbox, clock):
    await outbox.erase_person("p")
    clock.pass_s(60)
    await outbox.accept("p", "between", [turn("a")], granted_at=clock())
    assert (await outbox.erase_person("p")).turns == 1
    with pytest.raises(Erased):
        await outbox.accept("p", "new", [turn("b")], granted_at=clock())


async def test_posts_and_an_erasure_at_once_leave_nothing_behind(outbox):
    posts = [outbox.accept("p", f"s{number}", [turn("a")], granted_at=1) for number in range(40)]
    posts.insert(20, outbox.erase_person("p"))
    await asyncio.gather(*posts, return_exceptions=True)
    assert await outbox.pending_sessions("p") == []
    assert (await outbox.depth()).pending == 0


async def test_of_an_erased_session_others_learn_nothing(outbox):
    await outbox.accept("alice", "s", [turn("a")])
    await outbox.erase_session("alice", "s")
    with pytest.raises(ForeignSession):
        await outbox.accept("bob", "s", [turn("b")])


async def test_an_erasure_is_ordered_until_memory_confirms_it(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    await outbox.claim()
    await outbox.erase_session("p", "s")
    clock.pass_s(1)
    again = await outbox.erase_session("p", "s")  # does not bring the end of the lease forward
    assert again.leased_until == clock() - 1 + LEASE_S
    await outbox.erase_person("other")
    assert await outbox.orders() == [Order("other", None, True), Order("p", "s", False)]
    await outbox.confirm("other", None)
    clock.pass_s(LEASE_S - 1)
    assert await outbox.orders() == [Order("p", "s", True)]
    await outbox.confirm("p", "s")
    assert await outbox.orders() == []


# What arrives late, and what was taken out meanwhile


async def test_a_turn_that_was_waited_for_frees_its_followers_at_once(outbox, clock):
    await outbox.accept("p", "s", [turn("b", after="a")])
    assert await outbox.claim() is None
    clock.pass_s(1)
    await outbox.accept("p", "s", [turn("a")])
    assert ids(await outbox.claim()) == ["a", "b"]


async def test_a_delivery_of_what_expired_meanwhile_is_undone_and_fences_nothing_new(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    old = await outbox.claim()
    clock.pass_s(LEASE_S)
    await outbox.delivered(await outbox.claim())
    clock.pass_s(LEASE_S)
    assert await outbox.expire(1, limit=9) == 1
    await outbox.confirm("p", "s")
    assert await outbox.delivered(old) is False
    assert await outbox.orders() == [Order("p", "s", True)]
    await outbox.confirm("p", "s")
    await outbox.accept("p", "s", [turn("b")])
    assert (await outbox.claim()).lease > old.lease


async def test_a_reason_may_quote_anything(outbox):
    await outbox.accept("p", "s", [turn("a")])
    await outbox.park(await outbox.claim(), "a", reason="half \ud800 and \0")
    assert await states(outbox) == {"a": "parked"}


# Retention


async def test_sessions_expire_oldest_first_and_leave_an_order_for_memory(outbox, clock):
    for session_id in ("s2", "s1", "s3"):
        await outbox.accept("p", session_id, [turn("a")])
        await deliver(outbox)
        clock.pass_s(10)
    await outbox.accept("p", "s2", [turn("b")])
    await deliver(outbox)
    clock.pass_s(LEASE_S)
    assert await outbox.expire(LEASE_S + 25, limit=9) == 0
    assert await outbox.expire(LEASE_S + 5, limit=1) == 1
    assert await outbox.orders() == [Order("p", "s1", True)]
    assert await outbox.expire(LEASE_S + 5, limit=9) == 1
    assert [line.session_id for line in await outbox.lines(state=None, limit=9)] == ["s2"]


async def test_an_expired_session_is_gone_without_a_tombstone(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    await deliver(outbox)
    clock.pass_s(10)
    assert await outbox.expire(5, limit=9) == 1
    assert await outbox.entries("s") == []
    assert await outbox.expire(5, limit=9) == 0
    assert (await outbox.accept("p", "s", [turn("a")])).accepted == ["a"]


async def test_what_is_new_in_an_expired_session_waits_until_memory_has_forgotten_the_old(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    await deliver(outbox)
    clock.pass_s(10)
    await outbox.expire(5, limit=9)
    await outbox.accept("p", "s", [turn("a")])
    assert await outbox.claim() is None
    await outbox.confirm("p", "s")
    assert ids(await outbox.claim()) == ["a"]


async def test_what_memory_has_still_to_get_does_not_expire(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    clock.pass_s(1_000_000)
    assert await outbox.expire(5, limit=9) == 0
    assert await waiting(outbox) == ["a"]


async def test_a_parked_turn_expires_with_its_session(outbox, clock):
    await parked(outbox)
    clock.pass_s(10)
    assert await outbox.expire(5, limit=9) == 1
    assert (await outbox.depth()).parked == 0


async def test_tombstones_expire(outbox, clock):
    await outbox.erase_session("p", "s")
    await outbox.erase_person("p")
    clock.pass_s(10)
    await outbox.erase_session("p", "younger")
    assert await outbox.expire_tombstones(5) == 2
    assert (await outbox.accept("p", "s", [turn("a")], granted_at=1)).accepted == ["a"]
    with pytest.raises(Erased):
        await outbox.accept("p", "younger", [turn("a")])


async def test_a_tombstone_is_no_session(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    await outbox.erase_session("p", "s")
    clock.pass_s(10)
    assert await outbox.expire(5, limit=9) == 0
    assert await outbox.lines(state=None, limit=9) == []


async def test_a_delivery_that_was_given_up_holds_back_what_is_said_to_be_erased(outbox, clock):
    """The request may still be at work in memory: until its lease has ended nothing is certain."""
    await outbox.accept("p", "s", [turn("a")])
    await outbox.postpone(await outbox.claim(), delay_s=1, reason="memory took too long")
    assert (await outbox.erase_session("p", "s")).leased_until == clock() + LEASE_S


async def test_a_claim_tells_which_of_its_turns_has_waited_longest(outbox, clock):
    await outbox.accept("p", "s", [turn("b", after="a")])
    clock.pass_s(7)
    await outbox.accept("p", "s", [turn("a")])
    clock.pass_s(1)
    claim = await outbox.claim()
    assert (ids(claim), claim.oldest_turn_id, claim.oldest_s) == (["a", "b"], "b", 8)


@pytest.mark.parametrize("count", [250, 1_050])
async def test_a_long_session_that_arrived_in_reverse_leaves_in_order(outbox, count):
    turns = [turn(f"t{n}", after=f"t{n - 1}" if n else None) for n in range(count)]
    for start in range(0, count, 30):
        await outbox.accept("p", "s", [*reversed(turns)][start : start + 30])
    left = []
    while claim := await outbox.claim():
        left += ids(claim)
        await outbox.delivered(claim)
    assert left == [each.turn_id for each in turns]


# Operating


async def test_lines_tell_how_a_session_stands(outbox, clock):
    await outbox.accept("p", "s", [turn("a"), turn("poison"), turn("c")])
    await outbox.park(await outbox.claim(), "poison", reason="too long")
    (line,) = await outbox.lines(state=None, limit=9)
    assert (line.session_id, line.person, line.pending, line.parked, line.delivered) == ("s", "p", 2, 1, 0)
    assert (line.due_at, line.attempts, line.last_error) == (clock(), 0, "too long")
    await deliver(outbox)
    (line,) = await outbox.lines(state=None, limit=9)
    assert (line.pending, line.parked, line.delivered, line.due_at, line.last_error) == (0, 1, 2, None, None)


async def test_lines_come_in_pages_and_by_state(outbox):
    await outbox.accept("p", "b", [turn("a")])
    await deliver(outbox)
    await parked(outbox, session_id="a")
    for session_id in ("c", "B"):
        await outbox.accept("p", session_id, [turn("a")])

    async def found(**asked):
        return [line.session_id for line in await outbox.lines(**({"state": None, "limit": 9} | asked))]

    assert await found() == ["B", "a", "b", "c"]
    assert await found(limit=2) == ["B", "a"]
    assert await found(limit=2, after="a") == ["b", "c"]
    assert await found(state="pending") == ["B", "c"]
    assert await found(state="parked") == ["a"]
    assert await found(state="delivered") == ["b"]


async def test_entries_are_in_order_of_arrival_with_what_is_left_of_them(outbox, clock):
    await outbox.accept("p", "s", [turn("b", "one", after="a"), turn("a", "two", speaker="assistant")])
    first, second = await outbox.entries("s")
    assert (first.turn_id, first.state, first.speaker, first.text) == ("b", "pending", "user", "one")
    assert (second.turn_id, second.speaker, second.accepted_at, second.reason) == (
        "a",
        "assistant",
        clock(),
        None,
    )
    assert await outbox.entries("unknown") == []


async def test_a_replayed_turn_is_due_again(outbox, clock):
    await parked(outbox)
    clock.pass_s(3600)
    assert await outbox.replay("s") == 1
    assert await deliver(outbox) == ["poison"]
    assert await outbox.replay("s") == 0
    assert await outbox.replay("unknown") == 0
    assert await outbox.claim() is None


async def test_replaying_takes_no_session_from_its_deliverer(outbox):
    await parked(outbox)
    await outbox.accept("p", "s", [turn("b")])
    claim = await outbox.claim()
    await outbox.replay("s")
    assert await outbox.claim() is None
    assert await outbox.delivered(claim)
    assert ids(await outbox.claim()) == ["poison"]


async def test_a_dropped_turn_is_known_and_its_text_is_gone(outbox):
    await parked(outbox)
    assert await outbox.drop("s", "poison", reason="by hand")
    (entry,) = await outbox.entries("s")
    assert (entry.state, entry.text, entry.reason) == ("delivered", None, "by hand")
    assert (await outbox.accept("p", "s", [turn("poison", "canary")])).duplicate == ["poison"]
    assert await waiting(outbox) == []
    assert (await outbox.depth()).parked == 0
    assert await outbox.replay("s") == 0


async def test_only_a_parked_turn_can_be_dropped(outbox):
    await outbox.accept("p", "s", [turn("a")])
    assert not await outbox.drop("s", "a", reason="by hand")
    assert not await outbox.drop("s", "unknown", reason="by hand")
    assert not await outbox.drop("unknown", "a", reason="by hand")
    assert await states(outbox) == {"a": "pending"}


# Ending


async def test_what_was_asked_before_the_end_is_kept(outbox):
    posts = [asyncio.create_task(outbox.accept("p", "s", [turn(f"t{number}")])) for number in range(20)]
    await asyncio.sleep(0)
    assert outbox.is_serving()
    await outbox.close()
    assert [answer.accepted for answer in await asyncio.gather(*posts)] == [[f"t{n}"] for n in range(20)]
    assert not outbox.is_serving()


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_whatever_was_acknowledged_is_there_after_kill_9(engine, request, tmp_path):
    address = str(tmp_path / "outbox.db") if engine == "sqlite" else request.getfixturevalue("database")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.enrichment.crashing", address, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    acknowledged = [await child.stdout.readline() for _ in range(300)]
    child.kill()
    acknowledged += [line async for line in child.stdout if line.endswith(b"\n")]
    await child.wait()
    outbox = await opened(address)
    kept = [turn_id for session_id in SESSIONS for turn_id in await waiting(outbox, session_id)]
    await outbox.close()
    assert {line.decode().strip() for line in acknowledged} <= set(kept)
    assert len(kept) == len(set(kept))
