"""Whose memory a request writes and reads: what the grant says, and nothing else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import LIFETIME_S, GrantSigner
from tests.enrichment.service import (
    CLOCK,
    SIGNER,
    as_bearer,
    as_person,
    grant,
    problem,
    said,
    service,
    transcript,
)


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
        body = {"grant": bad, "session_id": "s-1", "turns": [said("u1")]}
        problem(await client.post("/memory/enrich", json=body), 401, "not-signed-in")
        assert (await client.get("/status")).json()["pending"] == 0


async def test_a_grant_for_one_session_writes_to_no_other(signed_in):
    body = {"grant": grant(session_id="s-1"), "session_id": "s-2", "turns": [said("u1")]}
    problem(await signed_in.post("/memory/enrich", json=body), 403, "not-allowed")


async def test_a_grant_reads_its_own_session_and_what_matters_for_it_and_nothing_else(signed_in):
    for session_id in ("s-1", "s-2"):
        body = {"grant": grant("dev:alice", session_id), "turns": [said("u1")]}
        await signed_in.post("/memory/enrich", json=body)
    bears = as_bearer(grant("dev:alice", "s-1"))
    assert len(await transcript(signed_in, "s-1", bears)) == 1
    assert (await signed_in.get("/memory/context", headers=bears)).status_code == 200
    problem(await signed_in.get("/memory/episodes/s-2", headers=bears), 404, "unknown-episode")
    problem(await signed_in.get("/memory/episodes", headers=bears), 403, "not-allowed")
    problem(await signed_in.get("/memory/context?session_id=s-2", headers=bears), 403, "not-allowed")


async def test_a_caller_reads_every_session_of_theirs(signed_in):
    for session_id in ("s-1", "s-2"):
        body = {"grant": grant("dev:alice", session_id), "turns": [said("u1")]}
        await signed_in.post("/memory/enrich", json=body)
        assert len(await transcript(signed_in, session_id, as_person("alice"))) == 1
    listed = (await signed_in.get("/memory/episodes", headers=as_person("alice"))).json()["episodes"]
    assert {episode["id"] for episode in listed} == {"s-1", "s-2"}


async def test_a_grant_as_bearer_counts_also_where_everybody_is_one(open_to_all):
    bears = as_bearer(grant("alice", "s-1"))
    response = await open_to_all.post("/memory/enrich", json={"turns": [said("u1")]}, headers=bears)
    assert response.json()["accepted"] == ["u1"]
    assert len(await transcript(open_to_all, "s-1", bears)) == 1
    body = {"session_id": "s-2", "turns": [said("u1")]}
    problem(await open_to_all.post("/memory/enrich", json=body, headers=bears), 403, "not-allowed")


@pytest.mark.parametrize("foreign", ["eyJ0.eyJz.c2ln", "dev_alice_analyst", "opaque"])
async def test_an_older_page_s_access_token_counts_for_nothing_where_everybody_is_one(open_to_all, foreign):
    body = {"text": "hello", "speaker": "user", "session_id": "t"}
    response = await open_to_all.post("/memory/enrich", json=body, headers=as_bearer(foreign))
    assert response.status_code == 202
    assert len(await transcript(open_to_all, "t", as_bearer(foreign))) == 1


async def test_a_session_stays_with_its_first_person(signed_in):
    await signed_in.post("/memory/enrich", json={"grant": grant("dev:alice"), "turns": [said("u1")]})
    response = await signed_in.post("/memory/enrich", json={"grant": grant("dev:bob"), "turns": [said("u2")]})
    problem(response, 403, "not-allowed")
    problem(await signed_in.get("/memory/episodes/s-1", headers=as_person("bob")), 404, "unknown-episode")


async def test_what_a_person_says_in_the_body_about_who_they_are_counts_for_nothing(signed_in):
    body = {"grant": grant("dev:alice"), "person": "dev:bob", "user_id": "dev:bob", "turns": [said("u1")]}
    await signed_in.post("/memory/enrich", json=body)
    assert await transcript(signed_in, "s-1", as_person("alice"))
    assert (await signed_in.get("/memory/episodes", headers=as_person("bob"))).json() == {
        "episodes": [],
        "next_cursor": None,
    }


async def test_a_development_name_with_dots_is_a_person_and_not_a_grant(signed_in):
    await signed_in.post("/memory/enrich", json={"grant": grant("dev:a.b.c"), "turns": [said("u1")]})
    assert len(await transcript(signed_in, "s-1", as_person("a.b.c"))) == 1
