"""A new grant for turns that waited in a browser for longer than theirs was good."""

from __future__ import annotations

import pytest

from broker.edge.grants import keys_of, read_grant
from tests.broker.build import ENRICHMENT, settings
from tests.broker.over_http import asked, broker_app, problem
from tests.running import running


@pytest.mark.parametrize("path", ["/realtime/grant", "/api/v1/voice/realtime/grant"])
async def test_a_session_gets_a_new_grant_without_asking_azure(remembering, respx_mock, path):
    response = await remembering.post(path, json={"session_id": "s-1", "agent_id": "sage"})

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    assert answer.keys() == {"session_id", "enrichment"}
    assert answer["session_id"] == "s-1"
    assert answer["enrichment"]["url"] == f"{ENRICHMENT}/memory/enrich"
    keys = keys_of((await remembering.get("/.well-known/jwks.json")).json())
    grant = read_grant(answer["enrichment"]["grant"], keys, environment="development")
    assert (grant.person, grant.session_id, grant.agent_id) == ("poc-user", "s-1", "sage")
    assert answer["enrichment"]["expires_at"] == grant.expires_at
    assert asked(respx_mock) == []


async def test_renewing_begins_no_call(remembering):
    await remembering.post("/realtime/grant", json={"session_id": "s-1"})
    assert (await remembering.get("/status")).json()["active_sessions"] == 0


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"", 400, "unreadable-body"),
        (b"{}", 422, "invalid-request"),
        (b'{"session_id": "../s-1"}', 422, "invalid-request"),
        (b'{"session_id": "s-1", "agent_id": "nobody"}', 422, "invalid-request"),
        (b'{"session_id": "%s"}' % (b"x" * 5_000), 413, "body-too-large"),
    ],
)
async def test_a_grant_for_nothing_in_particular_is_refused(remembering, body, status, name):
    headers = {"Content-Type": "application/json"}
    problem(await remembering.post("/realtime/grant", content=body, headers=headers), status, name)


async def test_without_memory_there_is_nothing_to_grant(broker):
    body = problem(await broker.post("/realtime/grant", json={"session_id": "s-1"}), 404, "memory-off")
    assert body["retryable"] is False


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [
        ({}, 401, "not-signed-in"),
        ({"Authorization": "Bearer dev_alice_viewer"}, 403, "not-allowed"),
    ],
)
async def test_who_gets_no_token_gets_no_grant(headers, status, name):
    app = broker_app(settings(enrichment_url=ENRICHMENT, auth_required=True, auth_dev_tokens=True))
    async with running(app) as broker:
        answer = await broker.post("/realtime/grant", json={"session_id": "s-1"}, headers=headers)
        problem(answer, status, name)


async def test_a_grant_is_for_whoever_asks_whatever_the_session():
    app = broker_app(settings(enrichment_url=ENRICHMENT, auth_required=True, auth_dev_tokens=True))
    async with running(app) as broker:
        keys = keys_of((await broker.get("/.well-known/jwks.json")).json())
        for name in ("alice", "bob"):
            headers = {"Authorization": f"Bearer dev_{name}_analyst"}
            answer = await broker.post("/realtime/grant", json={"session_id": "s-1"}, headers=headers)
            grant = read_grant(answer.json()["enrichment"]["grant"], keys, environment="development")
            assert grant.person == f"dev:{name}"
