"""The broker over HTTP, with Azure answered by respx."""

from __future__ import annotations

import time

import pytest

from broker.app import create_app
from tests.broker.build import AZURE, ENRICHMENT, KEY, settings
from tests.broker.over_http import asked, broker_app, problem
from tests.running import running
from tests.waiting import until


async def test_a_token_comes_with_everything_the_browser_needs(broker, azure):
    response = await broker.post("/realtime/token", json={"agent_id": "marcus", "session_id": "s-1"})

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    assert answer["token"] == "ek_canary"
    assert isinstance(answer["expires_at"], int)
    assert answer["endpoint"] == AZURE
    assert answer["calls_url"] == f"{AZURE}/openai/v1/realtime/calls?webrtcfilter=on"
    assert answer["agent"] == {"id": "marcus", "name": "Marcus", "voice": "cedar"}
    assert answer["session_id"] == "s-1"
    assert answer["call_ends_at"] > time.time() + 1700
    assert answer["memory"] == {"status": "off", "facts": 0}
    assert answer["enrichment"] is None
    assert answer["session_update"] is None
    assert (answer["greeting"], answer["strategy"], answer["mode"]) == (True, "direct", "direct")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"agent_id": null, "extra": {"from": "an older page"}}'])
async def test_without_wishes_it_is_elena_in_a_new_session(broker, azure, body):
    response = await broker.post(
        "/realtime/token", content=body, headers={"Content-Type": "application/json"}
    )
    answer = response.json()
    assert answer["agent"]["id"] == "elena"
    assert len(answer["session_id"]) == 36


async def test_an_existing_page_s_routes_and_fields_still_work(broker, azure):
    response = await broker.post(
        "/api/v1/voice/realtime/token", json={"agent_id": "elena", "session_id": "s-1"}
    )
    assert {"token", "endpoint", "expires_at"} <= response.json().keys()
    for path in (
        "/api/v1/agents",
        "/api/v1/voice/agents",
        "/api/v1/voice/status",
        "/api/v1/voice/config/sage",
    ):
        assert (await broker.get(path)).status_code == 200, path


async def test_a_call_may_be_shorter_and_find_its_way_out_of_a_closed_network(azure):
    relay = '{"urls": "turn:turn.example.org:443?transport=tcp", "username": "u", "credential": "hidden"}'
    wishes = settings(call_limit_s=600, ice_servers=f"[{relay}]")
    async with running(broker_app(wishes)) as broker:
        answer = (await broker.post("/realtime/token", json={})).json()
    assert time.time() + 500 < answer["call_ends_at"] <= time.time() + 600
    assert 590 <= answer["call_lasts_s"] <= 600
    assert answer["ice_servers"] == [
        {"urls": "turn:turn.example.org:443?transport=tcp", "username": "u", "credential": "hidden"}
    ]
    assert "hidden" not in repr(wishes)


async def test_agents_are_shown_with_their_voices_and_without_their_prompts(broker):
    listed = (await broker.get("/agents")).json()
    assert [agent["voice"] for agent in listed["agents"]] == ["marin", "cedar", "sage"]
    assert listed["default_agent"] == "elena"
    assert listed["enrichment"] is None
    assert "You are" not in (await broker.get("/agents")).text + (await broker.get("/config/elena")).text


async def test_a_page_learns_where_memory_is_read_and_where_it_is_forgotten(remembering):
    memory = (await remembering.get("/agents")).json()["enrichment"]
    assert memory == {
        "url": f"{ENRICHMENT}/memory/enrich",
        "episodes_url": f"{ENRICHMENT}/memory/episodes",
        "context_url": f"{ENRICHMENT}/memory/context",
        "person_url": f"{ENRICHMENT}/memory/users/me",
    }


async def test_status_shows_a_cut_endpoint():
    endpoint = f"https://{'a' * 60}.openai.azure.com"
    async with running(broker_app(settings(azure_voicelive_endpoint=endpoint))) as broker:
        status = (await broker.get("/status")).json()
    assert status["endpoint"] == endpoint[:50] + "..."
    assert status["voicelive_configured"] is True
    assert status["active_sessions"] == 0


async def test_a_session_that_holds_a_token_is_counted_once(broker, azure):
    for _ in range(2):
        await broker.post("/realtime/token", json={"session_id": "s-1"})
    assert (await broker.get("/status")).json()["active_sessions"] == 1


async def test_without_a_resource_the_broker_lives_and_says_so():
    app = broker_app(settings(azure_voicelive_endpoint=None, azure_voicelive_key=None))
    async with running(app) as broker:
        assert (await broker.get("/health")).status_code == 200
        assert (await broker.get("/ready")).status_code == 503
        assert (await broker.get("/status")).json()["voicelive_configured"] is False
        body = problem(await broker.post("/realtime/token"), 503, "voice-not-configured")
        assert body["retryable"] is False


async def test_health_and_readiness_ask_nobody(broker, respx_mock):
    assert (await broker.get("/health")).json() == {"status": "healthy"}
    assert (await broker.get("/ready")).status_code == 503
    assert asked(respx_mock) == []


async def test_a_service_is_ready_once_a_way_to_mint_has_worked(azure):
    async with running(create_app(settings())) as broker:

        async def is_ready():
            return (await broker.get("/ready")).status_code == 200

        assert await until(is_ready)


async def test_operators_see_the_chain_as_it_stands(azure):
    app = broker_app(settings(auth_required=True, auth_dev_tokens=True))
    async with running(app) as broker:
        analyst = {"Authorization": "Bearer dev_alice_analyst"}
        problem(await broker.get("/realtime/strategies", headers=analyst), 403, "not-allowed")
        await broker.post("/realtime/token", headers=analyst)
        seen = await broker.get("/realtime/strategies", headers={"Authorization": "Bearer dev_op_admin"})
    (row,) = seen.json()["rows"]
    assert (row["row"], row["standing"], row["minted"]) == ("primary/direct/ga/key", "ready", 1)
    assert KEY not in seen.text
