"""What every outbox promises, whichever engine keeps it: accepting, claiming, order, settling."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from enrichment.order import HOLD_BACK_S
from enrichment.outbox.port import CLAIM_TURNS, LEASE_S, Depth, ForeignSession
from tests.enrichment.build import turn
from tests.enrichment.outboxes import deliver, ids, parked, waiting


@pytest.fixture
def outbox(each_outbox):
    return each_outbox


# Accepting


async def test_the_same_turn_twice_is_one_turn(outbox):
    assert (await outbox.accept("p", "s", [turn("a")])).accepted == ["a"]
    again = await outbox.accept("p", "s", [turn("a"), turn("b"), turn("b")])
    assert (again.accepted, again.duplicate, again.conflicting) == (["b"], ["a", "b"], [])
    assert ids(await outbox.claim()) == ["a", "b"]


async def test_the_same_id_with_another_text_keeps_the_first_and_says_so(outbox):
    await outbox.accept("p", "s", [turn("a", "yes")])
    assert (await outbox.accept("p", "s", [turn("a", "no")])).conflicting == ["a"]
    assert (await outbox.claim()).turns[0].text == "yes"


async def test_within_one_post_too_the_first_text_is_kept(outbox):
    answer = await outbox.accept("p", "s", [turn("a", "yes"), turn("a", "no"), turn("a", "yes")])
    assert (answer.accepted, answer.duplicate, answer.conflicting) == (["a"], ["a"], ["a"])
    assert (await outbox.claim()).turns[0].text == "yes"


async def test_the_same_words_by_somebody_else_are_another_turn(outbox):
    await outbox.accept("p", "s", [turn("a", speaker="user")])
    assert (await outbox.accept("p", "s", [turn("a", speaker="assistant")])).conflicting == ["a"]


async def test_the_same_id_in_two_sessions_is_two_turns(outbox):
    await outbox.accept("p", "s1", [turn("a", "one")])
    assert (await outbox.accept("p", "s2", [turn("a", "two")])).accepted == ["a"]


async def test_everything_about_a_turn_comes_back(outbox):
    said = turn("b", "Grüße, 世界 🙂\nzweite Zeile", after="a", speaker="assistant")
    await outbox.accept("p", "s", [turn("a"), said])
    assert (await outbox.claim()).turns[1] == said
    assert (await outbox.pending("p", "s"))[1] == said


async def test_a_post_without_turns_leaves_nothing_to_deliver(outbox):
    assert (await outbox.accept("p", "s", [])).accepted == []
    assert await outbox.claim() is None


async def test_a_session_belongs_to_whoever_wrote_first(outbox):
    await outbox.accept("alice", "s", [turn("a")])
    with pytest.raises(ForeignSession):
        await outbox.accept("bob", "s", [turn("b")])
    assert await waiting(outbox, person="bob") == []
    assert await waiting(outbox, person="alice") == ["a"]
    assert await outbox.pending_sessions("bob") == []
    assert await outbox.pending_sessions("alice") == ["s"]


async def test_many_at_once_are_each_kept_once(outbox):
    posts = [outbox.accept("p", f"s{number % 7}", [turn(f"t{number}")]) for number in range(500)]
    assert sum(len(answer.accepted) for answer in await asyncio.gather(*posts)) == 500
    assert (await outbox.depth()).pending == 500


async def test_the_same_turn_from_many_at_once_is_accepted_from_one(outbox):
    answers = await asyncio.gather(*(outbox.accept("p", "s", [turn("a")]) for _ in range(20)))
    assert [answer.accepted for answer in answers].count(["a"]) == 1
    assert [answer.duplicate for answer in answers].count(["a"]) == 19


async def test_one_that_fails_undoes_nothing_of_the_others(outbox):
    await outbox.accept("alice", "s", [turn("a")])
    await outbox.erase_session("alice", "gone")
    results = await asyncio.gather(
        outbox.accept("alice", "s", [turn("b")]),
        outbox.accept("bob", "s", [turn("x")]),
        outbox.accept("alice", "gone", [turn("y")]),
        outbox.accept("alice", "s", [turn("c")]),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == [
        "Accepted",
        "ForeignSession",
        "Erased",
        "Accepted",
    ]
    assert ids(await outbox.claim()) == ["a", "b", "c"]


async def test_of_two_persons_at_once_the_first_has_the_session(outbox):
    results = await asyncio.gather(
        outbox.accept("alice", "s", [turn("a")]),
        outbox.accept("bob", "s", [turn("b")]),
        return_exceptions=True,
    )
    assert isinstance(results[1], ForeignSession)
    assert await waiting(outbox, person="alice") == ["a"]


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE turn; --", "%s %(now)s {}", "\\x00", "\u202e\u200d", "é" * 8000]
)
async def test_whatever_was_said_is_kept_as_it_is(outbox, text):
    await outbox.accept("p", "s", [turn("a", text)])
    assert (await outbox.claim()).turns[0].text == text


# Claiming


async def test_a_claim_holds_a_session_s_turns(outbox, clock):
    await outbox.accept("p", "s", [turn("a"), turn("b", after="a")])
    clock.pass_s(1)
    await outbox.accept("p", "s", [turn("c", after="b")])
    claim = await outbox.claim()
    assert (claim.person, claim.session_id, ids(claim)) == ("p", "s", ["a", "b", "c"])
    assert (claim.attempts, claim.oldest_turn_id, claim.oldest_s) == (0, "a", 1)


async def test_a_claim_takes_no_more_than_one_delivery_can_carry(outbox):
    names = [f"t{number:03}" for number in range(CLAIM_TURNS + 5)]
    await outbox.accept("p", "s", [turn(name) for name in names])
    assert await deliver(outbox) == names[:CLAIM_TURNS]
    assert await deliver(outbox) == names[CLAIM_TURNS:]


async def test_the_session_that_has_been_due_longest_comes_first(outbox, clock):
    for session_id in ("s3", "s1", "s2"):
        await outbox.accept("p", session_id, [turn("a")])
        clock.pass_s(1)
    assert [(await outbox.claim()).session_id for _ in range(3)] == ["s3", "s1", "s2"]


async def test_many_claims_at_once_get_different_sessions(outbox):
    for number in range(8):
        await outbox.accept("p", f"s{number}", [turn("a")])
    claims = await asyncio.gather(*(outbox.claim() for _ in range(8)))
    assert {claim.session_id for claim in claims} == {f"s{number}" for number in range(8)}


async def test_a_claimed_session_is_nobody_else_s_until_its_lease_ends(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    first = await outbox.claim()
    assert await outbox.claim() is None
    assert await outbox.next_due_s() == LEASE_S
    clock.pass_s(LEASE_S)
    second = await outbox.claim()
    assert ids(second) == ["a"]
    assert second.lease > first.lease


async def test_who_lost_the_lease_can_settle_nothing(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    frozen = await outbox.claim()
    clock.pass_s(LEASE_S)
    current = await outbox.claim()
    assert await outbox.delivered(frozen)  # in memory once all the same: nothing to undo
    await outbox.park(frozen, "a", reason="late")
    await outbox.postpone(frozen, delay_s=999, reason="late")
    assert await outbox.depth() == Depth(pending=1, parked=0, oldest_s=LEASE_S)
    await outbox.delivered(current)
    assert (await outbox.depth()).pending == 0


async def test_a_claim_that_was_settled_can_not_be_settled_again(outbox):
    await outbox.accept("p", "s", [turn("a")])
    claim = await outbox.claim()
    await outbox.postpone(claim, delay_s=0, reason="down")
    again = await outbox.claim()
    await outbox.delivered(claim)
    assert await waiting(outbox) == ["a"]
    await outbox.delivered(again)
    assert await waiting(outbox) == []


# Conversation order


@pytest.mark.parametrize("arrival", [*itertools.permutations("abc")])
async def test_turns_leave_in_conversation_order_however_they_came(outbox, arrival):
    said = {"a": turn("a"), "b": turn("b", after="a"), "c": turn("c", after="b")}
    for name in arrival:
        await outbox.accept("p", "s", [said[name]])
    assert ids(await outbox.claim()) == ["a", "b", "c"]


async def test_a_turn_waits_for_the_one_it_follows(outbox, clock):
    await outbox.accept("p", "s", [turn("b", after="a")])
    assert await outbox.claim() is None
    assert await outbox.next_due_s() == HOLD_BACK_S
    await outbox.accept("p", "s", [turn("a")])
    clock.pass_s(HOLD_BACK_S)
    assert ids(await outbox.claim()) == ["a", "b"]


async def test_it_does_not_wait_for_ever(outbox, clock):
    await outbox.accept("p", "s", [turn("b", after="lost"), turn("c", after="b")])
    assert await outbox.claim() is None
    clock.pass_s(HOLD_BACK_S)
    assert ids(await outbox.claim()) == ["b", "c"]


async def test_what_follows_a_held_turn_is_held_and_the_others_leave(outbox, clock):
    await outbox.accept(
        "p", "s", [turn("x"), turn("b", after="lost"), turn("c", after="b"), turn("y", after="x")]
    )
    assert await deliver(outbox) == ["x", "y"]
    assert await outbox.claim() is None
    clock.pass_s(HOLD_BACK_S)
    assert ids(await outbox.claim()) == ["b", "c"]


async def test_a_turn_follows_what_was_delivered_parked_or_dropped(outbox):
    await outbox.accept("p", "s", [turn("a")])
    await deliver(outbox)
    await outbox.accept("p", "s", [turn("b", after="a")])
    await outbox.park(await outbox.claim(), "b", reason="too long")
    await outbox.accept("p", "s", [turn("c", after="b")])
    assert await deliver(outbox) == ["c"]
    await outbox.drop("s", "b", reason="by hand")
    await outbox.accept("p", "s", [turn("d", after="b")])
    assert await deliver(outbox) == ["d"]


async def test_the_same_id_in_another_session_is_not_what_a_turn_follows(outbox):
    await outbox.accept("p", "s1", [turn("a")])
    await deliver(outbox)
    await outbox.accept("p", "s2", [turn("b", after="a")])
    assert await outbox.claim() is None


async def test_turns_that_follow_themselves_or_each_other_are_not_held(outbox):
    await outbox.accept("p", "s", [turn("a", after="a"), turn("b", after="c"), turn("c", after="b")])
    assert sorted(ids(await outbox.claim())) == ["a", "b", "c"]


async def test_a_held_session_holds_up_no_other(outbox, clock):
    for number in range(3):
        await outbox.accept("p", f"held{number}", [turn("b", after="lost")])
    clock.pass_s(1)
    await outbox.accept("p", "fine", [turn("a")])
    assert (await outbox.claim()).session_id == "fine"


async def test_holding_back_counts_as_no_failure(outbox, clock):
    await outbox.accept("p", "s", [turn("b", after="lost")])
    assert await outbox.claim() is None
    clock.pass_s(HOLD_BACK_S)
    assert (await outbox.claim()).attempts == 0


# Settling


async def test_a_delivered_turn_is_still_known_and_its_text_is_gone(outbox):
    await outbox.accept("p", "s", [turn("a", "a canary")])
    assert await outbox.delivered(await outbox.claim())
    assert (await outbox.accept("p", "s", [turn("a", "a canary")])).duplicate == ["a"]
    assert (await outbox.accept("p", "s", [turn("a", "another")])).conflicting == ["a"]
    assert await outbox.claim() is None
    (entry,) = await outbox.entries("s")
    assert (entry.state, entry.text) == ("delivered", None)


async def test_what_comes_during_a_delivery_is_delivered_next(outbox):
    await outbox.accept("p", "s", [turn("a")])
    claim = await outbox.claim()
    await outbox.accept("p", "s", [turn("b")])
    assert await outbox.claim() is None  # not beside the first: in order
    await outbox.delivered(claim)
    assert ids(await outbox.claim()) == ["b"]


async def test_a_postponed_session_waits_and_holds_up_no_other(outbox, clock):
    await outbox.accept("p", "stuck", [turn("a")])
    await outbox.postpone(await outbox.claim(), delay_s=60, reason="down")
    await outbox.accept("p", "fine", [turn("x")])
    await outbox.accept("p", "stuck", [turn("b")])
    claim = await outbox.claim()
    assert claim.session_id == "fine"
    await outbox.delivered(claim)
    assert await outbox.claim() is None
    assert await outbox.next_due_s() == 60
    clock.pass_s(60)
    claim = await outbox.claim()
    assert (ids(claim), claim.attempts) == (["a", "b"], 1)


async def test_failures_are_counted_until_something_is_delivered(outbox):
    await outbox.accept("p", "s", [turn("a")])
    for attempts in range(3):
        claim = await outbox.claim()
        assert claim.attempts == attempts
        await outbox.postpone(claim, delay_s=0, reason="down")
    await deliver(outbox)
    await outbox.accept("p", "s", [turn("b")])
    assert (await outbox.claim()).attempts == 0


async def test_a_parked_turn_frees_the_others_and_stays_readable(outbox):
    await outbox.accept("p", "s", [turn("poison"), turn("b")])
    await outbox.park(await outbox.claim(), "poison", reason="too long")
    assert ids(await outbox.claim()) == ["b"]
    assert await waiting(outbox) == ["poison", "b"]
    depth = await outbox.depth()
    assert (depth.pending, depth.parked) == (1, 1)


async def test_a_session_with_nothing_but_a_parked_turn_is_not_due(outbox):
    await parked(outbox)
    assert await outbox.claim() is None
    assert await outbox.next_due_s() is None
    assert (await outbox.accept("p", "s", [turn("poison", "canary")])).duplicate == ["poison"]
    assert await outbox.claim() is None


# What waits


async def test_depth_tells_how_long_the_oldest_has_waited(outbox, clock):
    assert (await outbox.depth()).oldest_s == 0
    await outbox.accept("p", "s", [turn("a")])
    clock.pass_s(12)
    assert (await outbox.depth()).oldest_s == 12


async def test_a_parked_turn_is_not_the_oldest(outbox, clock):
    await parked(outbox)
    clock.pass_s(12)
    assert await outbox.depth() == Depth(pending=0, parked=1, oldest_s=0)


async def test_nothing_waits_when_all_is_delivered(outbox):
    assert await outbox.next_due_s() is None
    await outbox.accept("p", "s", [turn("a")])
    assert await outbox.next_due_s() == 0
    await outbox.delivered(await outbox.claim())
    assert await outbox.next_due_s() is None


async def test_the_sessions_of_a_person_that_wait(outbox):
    await parked(outbox, session_id="parked")
    await outbox.accept("p", "delivered", [turn("a")])
    await deliver(outbox)
    await outbox.accept("p", "pending", [turn("a")])
    await outbox.accept("other", "theirs", [turn("a")])
    assert sorted(await outbox.pending_sessions("p")) == ["parked", "pending"]
