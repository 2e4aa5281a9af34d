"""Posting turns: what is accepted, and what is no turn."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.enrichment.service import (
    CLOCK,
    as_person,
    delivered,
    grant,
    problem,
    said,
    transcript,
)


async def test_a_batch_is_accepted_and_comes_back_in_conversation_order(signed_in):
    turns = [said("u2", "And then?", previous_turn_id="a1"), said("u1"), said("a1", previous_turn_id="u1")]
    response = await signed_in.post("/memory/enrich", json={"grant": grant("dev:alice"), "turns": turns})

    assert response.status_code == 202
    assert response.json() == {"accepted": ["u2", "u1", "a1"], "duplicate": [], "rejected": []}
    lines = await delivered(signed_in, "s-1", 3, as_person("alice"))
    assert [line["turn_id"] for line in lines] == ["u1", "a1", "u2"]
    assert lines[2] == {
        "turn_id": "u2",
        "role": "user",
        "content": "And then?",
        "agent_id": None,
        "spoken_at": "2026-11-20T08:00:00+00:00",
        "interrupted": False,
        "delivered": True,
    }


async def test_a_beacon_s_plain_text_is_read_like_json(signed_in):
    body = json.dumps({"grant": grant(), "turns": [said("u1")]})
    headers = {"Content-Type": "text/plain;charset=UTF-8"}
    response = await signed_in.post("/memory/enrich", content=body, headers=headers)
    assert response.json()["accepted"] == ["u1"]


async def test_the_grant_may_be_the_bearer(signed_in):
    headers = {"Authorization": f"Bearer {grant()}"}
    response = await signed_in.post("/memory/enrich", json={"turns": [said("u1")]}, headers=headers)
    assert response.json()["accepted"] == ["u1"]


async def test_posting_again_doubles_nothing(signed_in):
    body = {"grant": grant("dev:alice"), "turns": [said("u1")]}
    await signed_in.post("/memory/enrich", json=body)
    for _ in range(3):
        assert (await signed_in.post("/memory/enrich", json=body)).json()["duplicate"] == ["u1"]
    assert len(await delivered(signed_in, "s-1", 1, as_person("alice"))) == 1


async def test_every_turn_of_a_mixed_batch_is_answered_for(signed_in):
    await signed_in.post("/memory/enrich", json={"grant": grant(), "turns": [said("u1", "yes")]})
    turns = [said("u1", "no"), said("u2", speaker="system"), said("u3")]
    response = await signed_in.post("/memory/enrich", json={"grant": grant(), "turns": turns})
    assert response.status_code == 202
    assert response.json() == {
        "accepted": ["u3"],
        "duplicate": [],
        "rejected": [
            {"turn_id": "u2", "reason": "invalid: speaker"},
            {"turn_id": "u1", "reason": "conflict"},
        ],
    }


async def test_an_existing_page_posts_single_turns_without_a_grant_where_everybody_is_one(open_to_all):
    for number, speaker in enumerate(["user", "assistant", "user"]):
        body = {
            "text": f"words {number}",
            "session_id": "tab-1",
            "speaker": speaker,
            "agent_id": "elena",
            "channel": "voice",
            "metadata": {"from": "an older page"},
        }
        response = await open_to_all.post("/api/v1/memory/enrich", json=body)
        assert response.status_code == 202
        assert len(response.json()["accepted"]) == 1
    lines = await delivered(open_to_all, "tab-1", 3)
    assert [line["content"] for line in lines] == ["words 0", "words 1", "words 2"]


async def test_the_same_words_said_twice_are_two_turns(open_to_all):
    for _ in range(2):
        await open_to_all.post("/memory/enrich", json={"text": "yes", "speaker": "user", "session_id": "t"})
    assert len(await delivered(open_to_all, "t", 2)) == 2


async def test_the_oldest_shape_still_works(open_to_all):
    body = {"session_id": "t", "agent_id": "elena", "role": "assistant", "content": "Hello"}
    for path in ("/conversation/turn", "/api/v1/voice/conversation/turn"):
        assert (await open_to_all.post(path, json=body)).status_code == 202
    assert [line["role"] for line in await delivered(open_to_all, "t", 2)] == ["assistant", "assistant"]


async def test_a_turn_that_does_not_say_when_was_spoken_now(open_to_all):
    await open_to_all.post("/memory/enrich", json={"text": "yes", "speaker": "user", "session_id": "t"})
    body = {"session_id": "t", "role": "user", "content": "Hello"}
    await open_to_all.post("/conversation/turn", json=body)
    now = datetime.fromtimestamp(CLOCK(), UTC).isoformat()
    assert [line["spoken_at"] for line in await transcript(open_to_all, "t")] == [now, now]


# What is not a turn.


@pytest.mark.parametrize(
    ("body", "content_type", "status", "name"),
    [
        (b"", "application/json", 400, "unreadable-body"),
        (b"{", "application/json", 400, "unreadable-body"),
        (b"\xff", "text/plain", 400, "unreadable-body"),
        (b"[" * 10_000, "application/json", 400, "body-too-deep"),
        (b'{"turns": [{"text": "\\ud800"}]}', "application/json", 400, "unreadable-body"),
        (b"[]", "application/json", 422, "invalid-request"),
        (b"{}", "application/json", 422, "invalid-request"),
        (b'{"turns": []}', "application/json", 422, "invalid-request"),
        (b'{"turns": "all of them"}', "application/json", 422, "invalid-request"),
        (b'{"messages": [{"role": "user"}]}', "application/json", 422, "invalid-request"),
        (
            b'{"text": "a", "speaker": "user", "session_id": "../x"}',
            "application/json",
            422,
            "invalid-request",
        ),
        (
            b'{"text": "a", "speaker": "system", "session_id": "x"}',
            "application/json",
            422,
            "invalid-request",
        ),
        (b'{"text": "", "speaker": "user", "session_id": "x"}', "application/json", 422, "invalid-request"),
        (b'{"text": "a", "speaker": "user"}', "application/json", 401, "not-signed-in"),
        (b"x" * 65_537, "application/json", 413, "body-too-large"),
        (b"text=a", "application/x-www-form-urlencoded", 415, "wrong-media-type"),
        (b"{}", "multipart/form-data; boundary=x", 415, "wrong-media-type"),
    ],
)
async def test_what_is_not_a_turn_is_a_problem_and_nothing_is_stored(
    open_to_all, body, content_type, status, name
):
    response = await open_to_all.post("/memory/enrich", content=body, headers={"Content-Type": content_type})
    problem(response, status, name)
    assert (await open_to_all.get("/memory/episodes")).json() == {"episodes": [], "next_cursor": None}


async def test_a_problem_does_not_repeat_what_was_said(open_to_all):
    response = await open_to_all.post("/memory/enrich", json={"text": ["canary"], "speaker": "canary"})
    problem(response, 422, "invalid-request")
    assert "canary" not in response.text


@pytest.mark.parametrize("session_id", ["x%2f..%2fy", "%2e%2e", "%00", "a%20b", "s" * 500])
async def test_odd_session_ids_in_a_path_find_nothing(open_to_all, session_id):
    assert (await open_to_all.get(f"/memory/episodes/{session_id}")).status_code == 404


async def test_odd_session_ids_in_a_query_are_refused(open_to_all):
    response = await open_to_all.get("/memory/context", params={"session_id": "../x"})
    problem(response, 422, "invalid-request")
