"""What a browser may send, and what becomes of what it may not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from enrichment.turns import BATCH, MOST_TURNS, SINGLE, TEXT_CHARACTERS, Speaker, Turn, clean, from_batch
from tests.enrichment.build import turn

GOOD = {"turn_id": "item_1", "speaker": "user", "text": "Hello"}


def batch(*turns, **around):
    return from_batch(BATCH.validate_json(json.dumps({"turns": turns, **around})))


def test_a_good_turn_keeps_all_it_says():
    full = GOOD | {
        "previous_turn_id": "item_0",
        "agent_id": "sage",
        "spoken_at": "2026-11-20T09:00:00+01:00",
        "interrupted": True,
    }
    (kept,) = batch(full).turns
    assert kept.speaker is Speaker.USER
    assert (kept.previous_turn_id, kept.agent_id, kept.interrupted) == ("item_0", "sage", True)
    assert kept.spoken_at.isoformat() == "2026-11-20T08:00:00+00:00"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"text": ""}, "invalid: text"),
        ({"text": " \x00\x07 "}, "invalid: text"),
        ({"text": "x" * (TEXT_CHARACTERS + 1)}, "invalid: text"),
        ({"text": 7}, "invalid: text"),
        ({"speaker": "system"}, "invalid: speaker"),
        ({"speaker": "tool", "text": ""}, "invalid: speaker, text"),
        ({"spoken_at": "2026-11-20T08:00:00"}, "invalid: spoken_at"),
        ({"spoken_at": "yesterday"}, "invalid: spoken_at"),
        ({"spoken_at": "0001-01-01T00:00:00+14:00"}, "invalid: spoken_at"),
        ({"spoken_at": "9999-12-31T23:59:59-12:00"}, "invalid: spoken_at"),
        ({"spoken_at": "1999-12-31T23:59:59Z"}, "invalid: spoken_at"),
        ({"spoken_at": "2100-01-01T00:00:00Z"}, "invalid: spoken_at"),
        ({"spoken_at": 1795000000}, "invalid: spoken_at"),
        ({"spoken_at": "1795000000"}, "invalid: spoken_at"),
        ({"previous_turn_id": "../x"}, "invalid: previous_turn_id"),
        ({"agent_id": "DROP TABLE"}, "invalid: agent_id"),
    ],
)
def test_one_bad_turn_is_rejected_by_its_id_and_stops_no_other(changed, reason):
    post = batch(GOOD | changed, GOOD | {"turn_id": "item_2"})
    assert [turn.turn_id for turn in post.turns] == ["item_2"]
    assert [(rejection.turn_id, rejection.reason) for rejection in post.rejected] == [("item_1", reason)]


@pytest.mark.parametrize("turn_id", ["a/b", "", "x" * 65, None, 7, {"a": 1}])
def test_a_turn_without_a_usable_id_is_rejected_too(turn_id):
    (rejection,) = batch(GOOD | {"turn_id": turn_id}).rejected
    assert rejection.reason == "invalid: turn_id"


@pytest.mark.parametrize("stranger", [1, None, "turn", [], [GOOD]])
def test_what_is_no_object_is_rejected_alone_and_without_an_id(stranger):
    post = batch(stranger, GOOD)
    assert [turn.turn_id for turn in post.turns] == ["item_1"]
    assert [(rejection.turn_id, rejection.reason) for rejection in post.rejected] == [(None, "invalid: turn")]


@pytest.mark.parametrize("turns", [[], [GOOD] * (MOST_TURNS + 1), "text", {}])
def test_a_batch_of_another_form_is_refused_whole(turns):
    with pytest.raises(ValidationError):
        BATCH.validate_json(json.dumps({"turns": turns}))


@pytest.mark.parametrize("session_id", ["../x", "a/b", "", ".hidden", "x" * 65, "a%2fb", "a b"])
def test_a_session_id_that_could_be_a_path_is_refused(session_id):
    with pytest.raises(ValidationError):
        SINGLE.validate_json(json.dumps({"text": "a", "speaker": "user", "session_id": session_id}))


def test_two_spellings_of_the_same_letters_are_one_text():
    assert clean("Cafe\u0301 ") == "Café"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("hello\tworld", "hello world"),
        ("one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour"),
        ("e\x00\u0301", "é"),
    ],
)
def test_cleaning_keeps_words_and_lines_apart(sent, kept):
    assert clean(sent) == kept


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text):
    once = clean(text)
    assert clean(once) == once
    assert not any(ord(char) < 32 and char != "\n" for char in once)


def test_a_fingerprint_tells_a_repeat_from_a_contradiction():
    assert turn("a", "yes").fingerprint() == turn("a", "yes", after="b").fingerprint()
    assert turn("a", "yes").fingerprint() != turn("a", "no").fingerprint()
    assert Turn("a", Speaker.USER, "x").fingerprint() != Turn("a", Speaker.ASSISTANT, "x").fingerprint()
