"""Conversation order, for every order of arrival."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enrichment.order import HOLD_BACK_S, Waiting, conversation_order, releasable
from tests.enrichment.build import turn


def ids(turns):
    return [turn.turn_id for turn in conversation_order(turns)]


def chain(*names):
    return [turn(name, after=before) for before, name in zip((None, *names), names, strict=False)]


@given(st.permutations(chain("u1", "a1", "u2", "a2", "u3", "a3")))
def test_a_conversation_comes_out_in_order_however_it_arrived(arrived):
    assert ids(arrived) == ["u1", "a1", "u2", "a2", "u3", "a3"]


def test_what_is_written_between_spoken_turns_stays_where_it_came():
    u1, a1, u2 = chain("u1", "a1", "u2")
    written = turn("chat")
    assert ids([u1, a1, written, u2]) == ["u1", "a1", "chat", "u2"]


def test_two_calls_of_one_session_stay_apart():
    first, second = chain("u1", "a1"), chain("u2", "a2")
    assert ids([*first, *second]) == ["u1", "a1", "u2", "a2"]


def test_a_turn_whose_previous_one_never_came_is_not_lost():
    assert ids([turn("b", after="lost"), turn("c", after="b")]) == ["b", "c"]


def test_turns_that_follow_each_other_in_a_circle_keep_their_arrival():
    assert ids([turn("a", after="b"), turn("b", after="a"), turn("c"), turn("d", after="d")]) == [
        "c",
        "d",
        "a",
        "b",
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9)), unique_by=lambda pair: pair[0]))
def test_nothing_is_lost_or_doubled_and_nothing_comes_before_what_it_follows(pairs):
    turns = [turn(str(name), after=None if before is None else str(before)) for name, before in pairs]
    ordered = ids(turns)
    assert sorted(ordered) == sorted(turn.turn_id for turn in turns)
    free = ordered[: len(ordered) - _circular(turns)]
    for each in (one for one in turns if one.turn_id in free and one.previous_turn_id in free):
        assert each.previous_turn_id == each.turn_id or _follows(free, each)


def _follows(ordered, each):
    return ordered.index(each.previous_turn_id) < ordered.index(each.turn_id)


def _circular(turns):
    """How many turns lead, step by step, into a circle."""
    before = {turn.turn_id: turn.previous_turn_id for turn in turns}

    def is_circular(name):
        seen = {name}
        while (name := before.get(name)) is not None and name in before:
            if before.get(name) == name:
                return False
            if name in seen:
                return True
            seen.add(name)
        return False

    return sum(is_circular(name) and before[name] != name for name in before)


def waiting(*turns, came=(), at=0.0):
    """Pending turns that were all accepted at the same time; ``came``: ids that were delivered before."""
    known = {turn.turn_id for turn in turns} | {None, *came}
    return [Waiting(turn, at, turn.previous_turn_id in known) for turn in turns]


def released(turns, now):
    free, due_at = releasable(turns, now)
    return [turn.turn_id for turn in free], due_at


def test_a_turn_waits_a_few_seconds_for_the_one_that_it_follows_and_no_longer():
    late = waiting(turn("a1", after="u1"))
    assert released(late, now=HOLD_BACK_S - 0.1) == ([], HOLD_BACK_S)
    assert released(late, now=HOLD_BACK_S) == (["a1"], None)


def test_what_follows_a_turn_that_waits_waits_with_it_and_nothing_else_does():
    turns = waiting(turn("a1", after="u1"), turn("u2", after="a1"), turn("chat"))
    assert released(turns, now=1.0) == (["chat"], HOLD_BACK_S)


def test_a_turn_whose_previous_one_is_already_in_memory_leaves_at_once():
    assert released(waiting(turn("a1", after="u1"), came=["u1"]), now=0.0) == (["a1"], None)


@given(st.permutations(chain("u1", "a1", "u2", "a2", "u3", "a3")), st.integers(0, 6))
def test_whatever_has_arrived_what_leaves_is_the_beginning_of_the_conversation(arrived, count):
    free, due_at = released(waiting(*arrived[:count]), now=0.0)
    whole = ["u1", "a1", "u2", "a2", "u3", "a3"]
    assert free == whole[: len(free)]
    assert (due_at is None) == (len(free) == count)
