"""Enrichment over HTTP: the promise behind a 202, and everything that is no turn of yours."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import LIFETIME_S, GrantSigner
from broker.edge.telemetry import configure_logging
from enrichment.app import create_app
from enrichment.memory.embedded import EmbeddedMemory
from enrichment.memory.port import Rejected
from tests.clocks import Clock
from tests.enrichment.build import DownMemory, FakeMemory, settings
from tests.running import running
from tests.waiting import until

JWKS = "https://broker.example.org/.well-known/jwks.json"
CLOCK = Clock()
SIGNER = GrantSigner(Ed25519PrivateKey.generate(), environment="development", now=CLOCK)
JSON = {"Content-Type": "application/json"}


def grant(person="alice", session_id="s-1", signer=SIGNER):
    return signer.sign(person=person, session_id=session_id, agent_id="elena")[0]


def turn(turn_id, text="Hello", **more):
    return {"turn_id": turn_id, "speaker": "user", "text": text, "spoken_at": "2026-11-20T08:00:00Z"} | more


@pytest.fixture
def keys(respx_mock):
    return respx_mock.get(JWKS).respond(200, json=SIGNER.jwks())


@asynccontextmanager
async def service(tmp_path, memory=None, **changed):
    """A running service with the given memory; the embedded one when none is given."""
    make = (lambda settings: memory) if memory else (lambda settings: EmbeddedMemory(settings.memory_path))
    app = create_app(settings(tmp_path, grant_jwks_url=JWKS, **changed), memory=make, now=CLOCK)
    async with running(app) as client:
        yield client


@pytest.fixture
async def open_to_all(tmp_path, keys):
    async with service(tmp_path) as client:
        yield client


@pytest.fixture
async def signed_in(tmp_path, keys):
    async with service(tmp_path, auth_required=True, auth_dev_tokens=True) as client:
        yield client


def as_person(name):
    return {"Authorization": f"Bearer dev_{name}_analyst"}


async def transcript(client, session_id, headers=None):
    response = await client.get(f"/memory/episodes/{session_id}", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["transcript"]


async def delivered(client, session_id, count, headers=None):
    """The transcript, once ``count`` turns of it are in memory."""

    async def complete():
        lines = await transcript(client, session_id, headers)
        return lines if sum(line["delivered"] for line in lines) == count else None

    return await until(complete)


async def unready(client):
    return (await client.get("/ready")).status_code == 503


def problem(response, status, name):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"urn:voicelive:problem:{name}"
    return response.json()


# What is accepted.


async def test_a_batch_is_accepted_and_comes_back_in_conversation_order(signed_in):
    turns = [turn("u2", "And then?", previous_turn_id="a1"), turn("u1"), turn("a1", previous_turn_id="u1")]
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
    body = json.dumps({"grant": grant(), "turns": [turn("u1")]})
    headers = {"Content-Type": "text/plain;charset=UTF-8"}
    response = await signed_in.post("/memory/enrich", content=body, headers=headers)
    assert response.json()["accepted"] == ["u1"]


async def test_the_grant_may_be_the_bearer(signed_in):
    headers = {"Authorization": f"Bearer {grant()}"}
    response = await signed_in.post("/memory/enrich", json={"turns": [turn("u1")]}, headers=headers)
    assert response.json()["accepted"] == ["u1"]


async def test_posting_again_doubles_nothing(signed_in):
    body = {"grant": grant("dev:alice"), "turns": [turn("u1")]}
    await signed_in.post("/memory/enrich", json=body)
    for _ in range(3):
        assert (await signed_in.post("/memory/enrich", json=body)).json()["duplicate"] == ["u1"]
    assert len(await delivered(signed_in, "s-1", 1, as_person("alice"))) == 1


async def test_every_turn_of_a_mixed_batch_is_answered_for(signed_in):
    await signed_in.post("/memory/enrich", json={"grant": grant(), "turns": [turn("u1", "yes")]})
    turns = [turn("u1", "no"), turn("u2", speaker="system"), turn("u3")]
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


# Whose it is.


async def test_without_a_grant_nothing_is_stored_where_people_sign_in(signed_in):
    body = {"text": "hello", "speaker": "user", "session_id": "s-1"}
    problem(await signed_in.post("/memory/enrich", json=body), 401, "not-signed-in")
    response = await signed_in.post("/memory/enrich", json=body, headers=as_person("alice"))
    problem(response, 401, "not-signed-in")
    assert (await signed_in.get("/status")).json()["pending"] == 0


@pytest.mark.parametrize(
    "bad",
    [
        "rubbish",
        "a.b.c",
        grant(signer=GrantSigner(Ed25519PrivateKey.generate(), environment="development", now=CLOCK)),
        grant(signer=GrantSigner(SIGNER._key, environment="production", now=CLOCK)),
        grant(
            signer=GrantSigner(SIGNER._key, environment="development", now=lambda: CLOCK() - LIFETIME_S - 61)
        ),
    ],
    ids=["rubbish", "no-jwt", "forged", "foreign", "expired"],
)
@pytest.mark.parametrize("auth_required", [False, True])
async def test_a_bad_grant_is_refused_in_every_mode(tmp_path, keys, auth_required, bad):
    async with service(tmp_path, auth_required=auth_required) as client:
        body = {"grant": bad, "session_id": "s-1", "turns": [turn("u1")]}
        problem(await client.post("/memory/enrich", json=body), 401, "not-signed-in")
        assert (await client.get("/status")).json()["pending"] == 0


async def test_a_grant_for_one_session_writes_to_no_other(signed_in):
    body = {"grant": grant(session_id="s-1"), "session_id": "s-2", "turns": [turn("u1")]}
    problem(await signed_in.post("/memory/enrich", json=body), 403, "not-allowed")


async def test_a_session_stays_with_its_first_person(signed_in):
    await signed_in.post("/memory/enrich", json={"grant": grant("dev:alice"), "turns": [turn("u1")]})
    response = await signed_in.post("/memory/enrich", json={"grant": grant("dev:bob"), "turns": [turn("u2")]})
    problem(response, 403, "not-allowed")
    problem(await signed_in.get("/memory/episodes/s-1", headers=as_person("bob")), 404, "unknown-episode")


async def test_what_a_person_says_in_the_body_about_who_they_are_counts_for_nothing(signed_in):
    body = {"grant": grant("dev:alice"), "person": "dev:bob", "user_id": "dev:bob", "turns": [turn("u1")]}
    await signed_in.post("/memory/enrich", json=body)
    assert await transcript(signed_in, "s-1", as_person("alice"))
    assert (await signed_in.get("/memory/episodes", headers=as_person("bob"))).json() == {"episodes": []}


async def test_while_the_broker_cannot_be_asked_for_its_keys_the_page_is_told_to_wait(tmp_path, respx_mock):
    respx_mock.get(JWKS).respond(503)
    async with service(tmp_path, auth_required=True) as client:
        body = {"grant": grant(), "turns": [turn("u1")]}
        answer = problem(await client.post("/memory/enrich", json=body), 503, "grant-unverifiable")
        assert answer["retryable"] is True


async def test_keys_are_fetched_once_for_many_grants(signed_in, keys):
    bodies = [{"grant": grant(session_id=f"s-{n}"), "turns": [turn("u1")]} for n in range(20)]
    await asyncio.gather(*(signed_in.post("/memory/enrich", json=body) for body in bodies))
    assert keys.call_count == 1


async def test_made_up_key_ids_do_not_make_us_ask_the_broker_again_and_again(signed_in, keys):
    for _ in range(20):
        stranger = GrantSigner(Ed25519PrivateKey.generate(), environment="development", now=CLOCK)
        body = {"grant": grant(signer=stranger), "turns": [turn("u1")]}
        problem(await signed_in.post("/memory/enrich", json=body), 401, "not-signed-in")
    assert keys.call_count == 1


# What is not a turn.


@pytest.mark.parametrize(
    ("body", "content_type", "status", "name"),
    [
        (b"", "application/json", 400, "unreadable-body"),
        (b"{", "application/json", 400, "unreadable-body"),
        (b"\xff", "text/plain", 400, "unreadable-body"),
        (b"[" * 10_000, "application/json", 400, "unreadable-body"),
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
    assert (await open_to_all.get("/memory/episodes")).json() == {"episodes": []}


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


# What is remembered.


async def test_a_turn_that_is_not_yet_in_memory_is_already_in_its_episode(tmp_path, keys):
    async with service(tmp_path, memory=DownMemory()) as client:
        await client.post("/memory/enrich", json={"grant": grant("poc-user"), "turns": [turn("u1")]})
        (line,) = await transcript(client, "s-1")
        assert (line["content"], line["delivered"]) == ("Hello", False)
        assert (await client.get("/memory/episodes")).json() == {"episodes": [{"id": "s-1", "turns": 0}]}


async def test_the_broker_reads_the_facts_of_the_grant_s_person(signed_in):
    body = {"grant": grant("dev:alice"), "turns": [turn("u1", "I live in Paris")]}
    await signed_in.post("/memory/enrich", json=body)
    await delivered(signed_in, "s-1", 1, as_person("alice"))
    facts = {}
    for name in ("alice", "bob"):
        headers = {"Authorization": f"Bearer {grant(f'dev:{name}', 's-9')}"}
        facts[name] = (await signed_in.get("/memory/context?session_id=s-9", headers=headers)).json()["facts"]
    assert facts == {"alice": ['2026-11-20: the person said "I live in Paris"'], "bob": []}


async def test_reading_needs_somebody(signed_in):
    for path in ("/memory/episodes", "/memory/episodes/s-1", "/memory/context"):
        problem(await signed_in.get(path), 401, "not-signed-in")
        problem(await signed_in.get(path, headers={"Authorization": "Bearer a.b.c"}), 401, "not-signed-in")


async def test_what_was_accepted_before_a_restart_is_delivered_after_it(tmp_path, keys):
    async with service(tmp_path, memory=DownMemory()) as client:
        await client.post("/memory/enrich", json={"grant": grant("poc-user"), "turns": [turn("u1")]})
    memory = FakeMemory()
    CLOCK.pass_s(60)
    async with service(tmp_path, memory=memory), asyncio.timeout(5):
        assert await memory.arrived.get() == "u1"


# What operators see.


async def test_status_tells_what_waits_and_what_is_parked(tmp_path, keys):
    memory = FakeMemory(Rejected("u1", "too long"))
    async with service(tmp_path, memory=memory) as client:
        await client.post("/memory/enrich", json={"grant": grant(), "turns": [turn("u1"), turn("u2")]})
        async with asyncio.timeout(5):
            await memory.arrived.get()
        assert (await client.get("/status")).json() == {
            "pending": 0,
            "parked": 1,
            "oldest_s": 0.0,
            "delivering": True,
            "memory": "fake",
            "last_error": "Rejected",
        }


async def test_readiness_fails_when_the_delivery_has_died(tmp_path, keys):
    memory = FakeMemory(KeyError("bug"))
    async with service(tmp_path, memory=memory) as client:
        assert (await client.get("/ready")).status_code == 200
        await client.post("/memory/enrich", json={"grant": grant(), "turns": [turn("u1")]})
        await until(lambda: unready(client))
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/status")).json()["delivering"] is False


async def test_no_transcript_and_no_grant_is_in_any_log(tmp_path, keys, capfd):
    configure_logging("DEBUG")
    compact = grant()
    memory = FakeMemory(KeyError("canary bug"), Rejected("u1", "reason"))
    async with service(tmp_path, memory=memory) as client:
        body = {"grant": compact, "turns": [turn("u1", "a canary sentence"), turn("u2", "canary" * 2000)]}
        await client.post("/memory/enrich", json=body)
        await client.post("/memory/enrich", json={"text": ["canary"]})
        await until(lambda: unready(client))
    logged = "".join(capfd.readouterr())
    assert "turns.accepted" in logged
    assert "delivery.died" in logged
    assert "canary" not in logged
    assert compact not in logged
