"""The chaos bench: its checker sees every wrong there is, its faults happen; and its short form."""

from __future__ import annotations

from itertools import islice

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from tests.chaos.checker import Kept, check
from tests.chaos.history import History, sessions

SIGNER = GrantSigner(Ed25519PrivateKey.generate(), environment="development")


@pytest.fixture
def history():
    """Three sessions, all of them sent and promised."""
    history = History()
    for session in islice(sessions("test", 1, SIGNER), 3):
        history.add(session)
        history.send(session, list(session.turns))
        history.ack(session.session_id, list(session.turns))
    return history


@pytest.fixture
def kept(history):
    """What a memory holds that made no mistake; the sessions came side by side."""
    each = [
        [Kept(session.person, session.session_id, *turn) for turn in session.turns.items()]
        for session in history.sessions.values()
    ]
    return [turn for row in zip(*each, strict=True) for turn in row]


def wrongs(history, kept):
    verdict = check(history, kept)
    names = ("lost", "doubled", "disordered", "foreign", "invented")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def test_nothing_is_wrong_with_a_memory_that_holds_all_in_order(history, kept):
    assert wrongs(history, kept) == {}
    assert check(history, kept).remembered == len(history.acked) == 60


def test_a_turn_that_was_removed_is_lost(history, kept):
    del kept[17]
    assert wrongs(history, kept) == {"lost": 1}


def test_what_was_sent_and_never_promised_may_be_missing(history, kept):
    gone = kept.pop()
    history.acked.discard((gone.session_id, gone.turn_id))
    assert wrongs(history, kept) == {}


def test_a_turn_that_is_there_twice_is_doubled(history, kept):
    assert wrongs(history, [*kept, kept[-1]]) == {"doubled": 1}


def test_a_turn_that_is_there_again_under_another_id_is_doubled(history, kept):
    again = kept[-1]._replace(turn_id="item_999")
    assert wrongs(history, [*kept, again]) == {"doubled": 1, "invented": 1}


def test_two_turns_of_a_session_that_changed_places_are_disordered(history, kept):
    kept[0], kept[3] = kept[3], kept[0]
    assert wrongs(history, kept) == {"disordered": 1}


def test_a_turn_that_came_long_after_its_place_is_disordered(history, kept):
    kept.append(kept.pop(0))
    assert wrongs(history, kept) == {"disordered": 1}


def test_another_person_s_turn_is_foreign(history, kept):
    kept[5] = kept[5]._replace(person="somebody else")
    assert wrongs(history, kept) == {"foreign": 1}


def test_a_turn_with_other_words_is_invented(history, kept):
    kept[5] = kept[5]._replace(text="I never said that")
    assert wrongs(history, kept) == {"invented": 1}


def test_a_turn_that_nobody_sent_is_invented(history, kept):
    last = kept[-1]
    history.sent.discard((last.session_id, last.turn_id))
    history.acked.discard((last.session_id, last.turn_id))
    assert wrongs(history, kept) == {"invented": 1}
