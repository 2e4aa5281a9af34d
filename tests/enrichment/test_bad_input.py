"""Nothing that a body can contain is our mistake, or touches what is somebody else's; on both engines."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.enrichment.service import as_person, delivered, grant, problem, said, service

MEBIBYTE = b"x" * 1024 * 1024
WILD = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(
    ["../x", "..%2f..", "\0", "\ud800", 'a" OR *(', "text : secret", "NEAR(", "-- ;", "{}", "\u202e"]
)


@pytest.fixture(params=["sqlite", "postgres"])
async def client(request, tmp_path, keys):
    database = {"database_url": request.getfixturevalue("database")} if request.param == "postgres" else {}
    async with service(tmp_path, auth_required=True, auth_dev_tokens=True, **database) as client:
        await client.post(
            "/memory/enrich", json={"grant": grant("dev:alice"), "turns": [said("mine", "a secret")]}
        )
        await delivered(client, "s-1", 1, as_person("alice"))
        yield client


async def holds_what_alice_said(client):
    lines = (await client.get("/memory/episodes/s-1", headers=as_person("alice"))).json()["transcript"]
    return [line["content"] for line in lines] == ["a secret"]


@given(
    st.dictionaries(
        st.sampled_from(["turn_id", "previous_turn_id", "speaker", "text", "agent_id", "spoken_at", "x"]),
        WILD | st.none() | st.integers() | st.lists(WILD, max_size=2) | st.floats(),
    ),
    st.sampled_from(["user", "assistant"]) | WILD,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
async def test_a_turn_may_be_anything_and_is_kept_or_refused(client, turn, speaker):
    body = {"grant": grant("dev:bob", "s-bob"), "turns": [{"speaker": speaker, **turn}]}
    response = await client.post("/memory/enrich", content=json.dumps(body), headers=JSON)
    assert response.status_code in {202, 400, 422}, response.text
    assert await holds_what_alice_said(client)


JSON = {"Content-Type": "application/json"}


@given(WILD)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
async def test_a_search_may_ask_for_anything_and_finds_nothing_of_others(client, query):
    content = json.dumps({"query": query})
    response = await client.post("/memory/search", content=content, headers=JSON | as_person("bob"))
    assert response.status_code in {200, 400, 422}, response.text
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "session_id", ["..", "../s-1", "s-1/../s-1", "%2e%2e", "s-1%00", "a" * 65, "s 1", "é"]
)
async def test_a_path_leads_nowhere_else(client, session_id):
    bob = as_person("bob")
    for method in ("GET", "DELETE"):
        response = await client.request(method, f"/memory/episodes/{session_id}", headers=bob)
        assert response.status_code in {404, 422}, (method, response.text)
    assert await holds_what_alice_said(client)


async def test_a_hundred_megabytes_in_chunks_are_not_read_to_their_end(client):
    sent = 0

    async def chunks():
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield MEBIBYTE

    problem(await client.post("/memory/enrich", content=chunks(), headers=JSON), 413, "body-too-large")
    assert sent < 100


@pytest.mark.parametrize("depth", [100, 10_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"turns":', "}")])
async def test_however_deep_a_body_is_it_is_a_problem_of_the_body(client, depth, opening, closing):
    content = opening * depth + "1" + closing * depth
    response = await client.post("/memory/enrich", content=content, headers=JSON)
    assert response.status_code in {400, 413, 422}, response.text
