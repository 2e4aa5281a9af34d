"""The page, where the broker serves it."""

from __future__ import annotations

from tests.broker.build import AZURE, ENRICHMENT, settings
from tests.broker.over_http import broker_app
from tests.running import running


async def test_the_page_comes_with_a_policy_that_names_whom_it_may_talk_to():
    async with running(broker_app(settings(serve_page=True, enrichment_url=ENRICHMENT))) as broker:
        page = await broker.get("/")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert f"connect-src 'self' {ENRICHMENT} {AZURE};" in policy
        assert "'unsafe-inline'" not in policy
        assert (await broker.get("/status")).status_code == 200


async def test_the_page_may_call_every_host_that_may_mint():
    other = '[{"region": "far", "endpoint": "https://far.example.org", "key": "k"}]'
    chosen = settings(
        serve_page=True, azure_voicelive_endpoint="https://r.openai.azure.com", azure_voicelive_domains=other
    )
    async with running(broker_app(chosen)) as broker:
        policy = (await broker.get("/")).headers["content-security-policy"]
    for host in ("https://r.openai.azure.com", "https://r.services.ai.azure.com", "https://far.example.org"):
        assert f" {host}" in policy


async def test_only_the_page_is_served_and_the_api_keeps_its_manners():
    async with running(broker_app(settings(serve_page=True))) as broker:
        assert (await broker.get("/main.js")).status_code == 200
        for path in ("/package-lock.json", "/tsconfig.json", "/node_modules/x.js", "/../pyproject.toml"):
            assert (await broker.get(path)).status_code == 404, path
        assert (await broker.get("/realtime/token")).status_code == 405
        assert (await broker.post("/nothing")).status_code == 404


async def test_without_being_told_the_broker_serves_no_page(broker):
    assert (await broker.get("/")).status_code == 404
