"""What the broker answers is what its OpenAPI document declares."""

from __future__ import annotations

import pytest

from broker.app import api, create_app
from tests.broker.build import settings
from tests.broker.over_http import CONTEXT, broker_app
from tests.declared import is_declared
from tests.running import running
from tests.waiting import until

DOCUMENT = api()
RELAY = '[{"urls": "turn:t.example.org", "username": "u", "credential": "c"}, {"urls": "stun:s.example.org"}]'
ADMIN = {"Authorization": "Bearer dev_op_admin"}


async def answered(client, method, path, status, **sent):
    response = await client.request(method, path, **sent)
    assert response.status_code == status, response.text
    assert is_declared(DOCUMENT, response)


@pytest.mark.parametrize("prefix", ["", "/api/v1/voice"])
async def test_what_a_caller_is_answered_is_declared(remembering, azure, respx_mock, prefix):
    respx_mock.get(CONTEXT).respond(200, json={"context": "", "facts": ["They like tea."]})
    answers = [
        ("POST", "/realtime/token", 200, {"json": {"session_id": "s-1"}}),
        ("POST", "/realtime/token", 200, {}),
        ("POST", "/realtime/token", 422, {"json": {"agent_id": "nobody"}}),
        ("POST", "/realtime/token", 400, {"content": "{", "headers": {"Content-Type": "application/json"}}),
        ("POST", "/realtime/token", 415, {"content": "x"}),
        ("POST", "/realtime/token", 413, {"content": b"x" * 5000}),
        ("POST", "/realtime/token", 403, {"headers": {"Origin": "https://evil.example"}}),
        ("POST", "/realtime/token", 415, {"headers": {"Content-Encoding": "gzip"}}),
        ("POST", "/realtime/grant", 200, {"json": {"session_id": "s-1"}}),
        ("POST", "/realtime/grant", 422, {"json": {}}),
        ("GET", "/agents", 200, {}),
        ("GET", "/config/sage", 200, {}),
        ("GET", "/config/nobody", 404, {}),
        ("GET", "/status", 200, {}),
    ]
    for method, path, status, sent in answers:
        await answered(remembering, method, prefix + path, status, **sent)


async def test_what_needs_no_caller_is_declared(broker):
    for path in ("/agents", "/api/v1/agents", "/.well-known/jwks.json", "/health", "/openapi.json"):
        await answered(broker, "GET", path, 200)
    await answered(broker, "GET", "/ready", 503)


async def test_a_broker_that_is_ready_says_so_as_declared(azure):
    async with running(create_app(settings(ice_servers=RELAY))) as broker:

        async def is_ready():
            return (await broker.get("/ready")).status_code == 200

        assert await until(is_ready)
        await answered(broker, "GET", "/ready", 200)
        await answered(broker, "POST", "/realtime/token", 200)


@pytest.mark.parametrize(("upstream", "status"), [(200, 200), (429, 503), (500, 503), (401, 502)])
async def test_the_chain_is_declared_whatever_azure_said(azure, upstream, status):
    if upstream != 200:
        azure.respond(upstream, json={"error": {"code": "x"}})
    async with running(broker_app(settings(auth_required=True, auth_dev_tokens=True))) as broker:
        await answered(broker, "GET", "/realtime/strategies", 401)
        await answered(broker, "POST", "/realtime/token", status, headers=ADMIN)
        await answered(broker, "GET", "/realtime/strategies", 200, headers=ADMIN)


async def test_a_broker_without_a_resource_answers_as_declared():
    app = broker_app(settings(azure_voicelive_endpoint=None, azure_voicelive_key=None))
    async with running(app) as broker:
        await answered(broker, "GET", "/status", 200)
        await answered(broker, "GET", "/realtime/strategies", 403)
        await answered(broker, "POST", "/realtime/token", 503)
        await answered(broker, "POST", "/realtime/grant", 404, json={"session_id": "s-1"})
