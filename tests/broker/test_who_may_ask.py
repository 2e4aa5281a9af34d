"""Who gets a token."""

from __future__ import annotations

import pytest

from tests.broker.build import settings
from tests.broker.over_http import asked, broker_app, problem
from tests.running import running


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("https://app.example.org", 200),
        ("http://test", 200),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
async def test_where_nobody_signs_in_a_page_of_another_origin_gets_nothing(broker, azure, origin, status):
    response = await broker.post("/realtime/token", headers={"Origin": origin} if origin else {})
    assert response.status_code == status


async def test_where_signing_in_is_required_nobody_gets_a_token_without_it(respx_mock):
    async with running(broker_app(settings(auth_required=True))) as broker:
        for headers in ({}, {"Authorization": "Bearer dev_alice_admin"}, {"X-MS-CLIENT-PRINCIPAL": "alice"}):
            response = await broker.post("/realtime/token", headers=headers)
            problem(response, 401, "not-signed-in")
            assert response.headers["www-authenticate"] == "Bearer"
    assert asked(respx_mock) == []


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer dev_alice_analyst", 200),
        ("Bearer dev_alice_viewer", 403),
        ("Bearer dev_bob_admin_viewer", 401),
        ("Bearer dev__admin", 401),
        ("Bearer dev_\u0430lice_admin", 401),
        ("Basic dev_alice_admin", 401),
        ("dev_alice_admin", 401),
    ],
)
async def test_development_tokens_follow_a_strict_grammar(azure, authorization, status):
    app = broker_app(settings(auth_required=True, auth_dev_tokens=True))
    async with running(app) as broker:
        headers = {"Authorization": authorization.encode()}
        assert (await broker.post("/realtime/token", headers=headers)).status_code == status
