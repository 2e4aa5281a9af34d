"""What enrichment answers is what its OpenAPI document declares."""

from __future__ import annotations

import pytest

from enrichment.app import api
from enrichment.memory.port import Unreachable
from tests.declared import is_declared
from tests.enrichment.build import DownMemory
from tests.enrichment.service import as_bearer, as_person, delivered, grant, said, service

DOCUMENT = api()
ALICE = as_person("alice")
ADMIN = {"Authorization": "Bearer dev_op_admin"}


async def answered(client, method, path, status, **sent):
    response = await client.request(method, path, **sent)
    assert response.status_code == status, response.text
    assert is_declared(DOCUMENT, response)


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_what_a_person_is_answered_is_declared(signed_in, prefix):
    memory = f"{prefix}/memory"
    turns = [said("t1", "Do you like tea?"), said("t2", speaker="nobody"), said("t1", "Another"), "none"]
    posted = {"grant": grant("dev:alice"), "turns": turns}
    await answered(signed_in, "POST", f"{memory}/enrich", 202, json=posted)
    await answered(signed_in, "GET", f"{memory}/episodes", 200, headers=ALICE)
    await delivered(signed_in, "s-1", 1, ALICE)
    answers = [
        ("POST", "/enrich", 202, {"json": posted}),
        ("POST", "/enrich", 401, {"json": {"session_id": "s-1", "turns": turns}}),
        ("POST", "/enrich", 403, {"json": {"session_id": "s-2", **posted}}),
        ("POST", "/enrich", 422, {"json": {}}),
        ("POST", "/enrich", 413, {"content": b"x" * 70_000}),
        ("GET", "/episodes?limit=1", 200, {"headers": ALICE}),
        ("GET", "/episodes?limit=0", 422, {"headers": ALICE}),
        ("GET", "/episodes?cursor=x", 422, {"headers": ALICE}),
        ("GET", "/episodes", 401, {}),
        ("GET", "/episodes", 403, {"headers": as_bearer(grant("dev:alice"))}),
        ("GET", "/episodes/s-1", 200, {"headers": ALICE}),
        ("GET", "/episodes/s-1", 404, {"headers": as_person("bob")}),
        ("GET", "/context", 200, {"headers": ALICE}),
        ("GET", "/context?session_id=s-1", 200, {"headers": as_bearer(grant("dev:alice"))}),
        ("GET", "/context?session_id=..", 422, {"headers": ALICE}),
        ("POST", "/search", 200, {"headers": ALICE, "json": {"query": "tea"}}),
        ("POST", "/search", 422, {"headers": ALICE, "json": {"query": ""}}),
        ("DELETE", "/episodes/s-1", 404, {"headers": as_person("bob")}),
        ("DELETE", "/episodes/..x", 422, {"headers": ALICE}),
        ("DELETE", "/users/dev:alice", 403, {"headers": as_person("bob")}),
        ("DELETE", "/episodes/s-1", 200, {"headers": ALICE}),
        ("POST", "/enrich", 410, {"json": posted}),
        ("DELETE", "/users/me", 200, {"headers": ALICE}),
        ("DELETE", "/users/dev:alice", 200, {"headers": ADMIN}),
        ("DELETE", "/users/%00", 422, {"headers": ADMIN}),
    ]
    for method, path, status, sent in answers:
        await answered(signed_in, method, memory + path, status, **sent)


async def test_the_older_shapes_and_what_operators_read_are_declared(open_to_all):
    told = {"session_id": "s-1", "content": "Hello", "role": "user"}
    for path in ("/conversation/turn", "/api/v1/voice/conversation/turn"):
        await answered(open_to_all, "POST", path, 202, json=told)
        await answered(open_to_all, "POST", path, 422, json=told | {"role": "system"})
    single = {"session_id": "s-1", "text": "Hello", "speaker": "user", "channel": "voice"}
    await answered(open_to_all, "POST", "/memory/enrich", 202, json=single)
    for path in ("/status", "/health", "/ready", "/openapi.json"):
        await answered(open_to_all, "GET", path, 200)


class AwayMemory(DownMemory):
    """Answers nothing at all."""

    async def _away(self, *_asked, **_more):
        raise Unreachable("away")

    episodes = episode = recall = search = forget_session = forget_person = _away


async def test_what_a_memory_that_is_away_makes_of_answers_is_declared(tmp_path, keys):
    async with service(tmp_path, AwayMemory()) as client:
        for path in ("episodes", "episodes/s-1", "context", "context?session_id=s-1"):
            await answered(client, "GET", f"/memory/{path}", 503)
        await answered(client, "POST", "/memory/search", 503, json={"query": "tea"})
        for path in ("episodes/s-1", "users/me"):
            await answered(client, "DELETE", f"/memory/{path}", 202)


async def test_a_service_whose_memory_is_down_answers_as_declared(tmp_path, keys):
    async with service(tmp_path, DownMemory()) as client:
        await answered(client, "POST", "/memory/enrich", 202, json={"session_id": "s", "turns": [said("t")]})
        await answered(client, "GET", "/status", 200)
        await answered(client, "GET", "/memory/episodes/s", 200)
