"""What the broker counts, who may read it, and what is never in it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from broker.edge.metrics import EdgeMetrics, Measured
from broker.metrics import MintMetrics
from broker.minting.no_token import NoToken
from broker.minting.outcomes import MintFailed, Verdict
from tests.broker.build import KEY, SIGN_IN, SPEC, settings
from tests.broker.over_http import broker_app, problem
from tests.broker.upstreams import Upstream, chain_of, domain, rows_of, token
from tests.running import running
from tests.scraping import routes_of, scraped, value
from tests.virtual_time import run_virtual

HTTP = "http_server_request_duration_seconds_count"
TOKEN = "a-scraper-s-token-0123456789"


async def test_a_mint_is_counted_with_how_long_it_took_and_which_row_was_asked(broker, azure):
    assert (await broker.post("/realtime/token", json={})).status_code == 200

    samples = await scraped(broker)
    assert value(samples, "engram_mint_requests_total", outcome="minted") == 1
    assert value(samples, "engram_mint_duration_seconds_count", outcome="minted") == 1
    attempt = {"strategy": "direct", "domain": "primary", "outcome": "minted"}
    assert value(samples, "engram_mint_attempts_total", **attempt) == 1
    assert value(samples, "engram_sessions_active") == 1
    assert value(samples, "engram_mint_breaker_state", strategy="direct") == 0
    assert value(samples, HTTP, route="/realtime/token", method="POST", status="200") == 1


async def test_what_has_not_happened_yet_is_zero_and_not_missing(broker):
    samples = await scraped(broker)
    for outcome in ("minted", "throttled", "unavailable", "deadline", "misconfigured", "cancelled", "broke"):
        assert value(samples, "engram_mint_requests_total", outcome=outcome) == 0
    for result in ("won", "lost", "failed", "denied"):
        assert value(samples, "engram_mint_hedges_total", result=result) == 0
    for reason in ("not-signed-in", "not-allowed", "roles-not-in-token"):
        assert value(samples, "engram_auth_failures_total", reason=reason) == 0
    assert value(samples, "engram_audit_write_failures_total") == 0


async def test_a_mint_that_fails_is_counted_with_why_and_its_strategy_is_seen_as_held(broker, azure):
    azure.respond(401, json={"error": {"code": "401"}})
    problem(await broker.post("/realtime/token", json={}), 502, "mint-misconfigured")

    samples = await scraped(broker)
    assert value(samples, "engram_mint_requests_total", outcome="misconfigured") == 1
    attempt = {"strategy": "direct", "domain": "primary", "outcome": "credential refused"}
    assert value(samples, "engram_mint_attempts_total", **attempt) == 1
    assert value(samples, "engram_mint_breaker_state", strategy="direct") == 2
    assert value(samples, "engram_sessions_active") == 0


async def test_without_a_resource_there_is_no_breaker_and_the_rest_is_there():
    async with running(
        broker_app(settings(azure_voicelive_endpoint=None, azure_voicelive_key=None))
    ) as broker:
        samples = await scraped(broker)
    assert "engram_mint_breaker_state" not in {name for name, _ in samples}
    assert value(samples, "engram_sessions_active") == 0


async def test_a_route_is_its_template_however_it_is_reached(broker, azure):
    await broker.get("/config/elena")
    await broker.get("/api/v1/voice/config/nobody-there")
    await broker.get("/api/v1/agents")
    await broker.put("/agents")
    samples = await scraped(broker)
    assert value(samples, HTTP, route="/config/{agent_id}", method="GET", status="200") == 1
    assert value(samples, HTTP, route="/config/{agent_id}", method="GET", status="404") == 1
    assert value(samples, HTTP, route="/agents", method="GET", status="200") == 1
    assert routes_of(samples) <= {"/config/{agent_id}", "/agents", "other"}


async def test_behind_proxies_a_route_is_known_too(azure):
    async with running(broker_app(settings(trusted_proxies=1))) as broker:
        await broker.get("/agents", headers={"X-Forwarded-For": "192.0.2.7"})
        samples = await scraped(broker)
    assert value(samples, HTTP, route="/agents", method="GET", status="200") == 1


async def test_a_thousand_unknown_paths_and_methods_are_one_series_each(broker):
    await broker.request("BREW", "/coffee-0")
    before = await scraped(broker)
    for number in range(1_000):
        await broker.request("BREW", f"/coffee-{number}?for={number}")
        await broker.get(f"/api/v1/voice/nowhere/{number}")
    after = await scraped(broker)
    assert value(after, HTTP, route="other", method="GET", status="404") == 1_000
    assert value(after, HTTP, route="other", method="other", status="404") == 1_001
    scrape = {HTTP, "http_server_request_duration_seconds_sum", "http_server_request_duration_seconds_bucket"}
    new = {dict(labels)["route"] for name, labels in after.keys() - before.keys() if name in scrape}
    assert new == {"other", "/metrics"}
    assert len(after) - len(before) == 2 * 16  # a histogram of the unknown GETs, and one of the scrapes


async def test_no_sample_holds_a_session_a_person_a_secret_or_anything_a_caller_chose(azure):
    chosen = ("canary-session", "canary-user", "canary-agent", "canary-path", "canary-query", "canary-header")
    async with running(broker_app(settings(auth_required=True, auth_dev_tokens=True))) as broker:
        headers = {"Authorization": "Bearer dev_canary-user_user", "X-Request-Id": "canary-header"}
        asked = {"session_id": "canary-session", "agent_id": "elena"}
        assert (await broker.post("/realtime/token", json=asked, headers=headers)).status_code == 200
        await broker.post("/realtime/token", json={"agent_id": "canary-agent"}, headers=headers)
        await broker.get("/config/canary-agent?q=canary-query", headers=headers)
        await broker.get("/canary-path", headers=headers)
        text = (await broker.get("/metrics")).text
    assert not [word for word in (*chosen, "canary-", KEY, "ek_") if word in text]


async def test_who_is_refused_is_counted_by_the_kind_of_the_refusal(azure):
    async with running(broker_app(settings(auth_required=True, auth_dev_tokens=True))) as broker:
        await broker.post("/realtime/token", json={})
        await broker.post("/realtime/token", json={}, headers={"Authorization": "Bearer dev_bob_viewer"})
        await broker.post("/realtime/token", json={}, headers={"Authorization": "Bearer nonsense"})
        samples = await scraped(broker)
    assert value(samples, "engram_auth_failures_total", reason="not-signed-in") == 2
    assert value(samples, "engram_auth_failures_total", reason="not-allowed") == 1


async def test_what_cannot_be_put_on_record_is_counted(azure, tmp_path):
    nowhere = tmp_path / "a-file-where-a-folder-must-be"
    nowhere.write_text("")
    audit = {"audit_log_enabled": True, "audit_key": "k" * 32, "audit_url": f"file:{nowhere}/audit"}
    async with running(broker_app(settings(**audit))) as broker:
        problem(await broker.post("/realtime/token", json={}), 503, "audit-unavailable")
        assert value(await scraped(broker), "engram_audit_write_failures_total") >= 1


# What a chain tells

A, B = domain("a"), domain("b")


def told(behaviour, latency_s=lambda: 0.18):
    """What is counted of one mint in virtual time, by resources A and B that behave so."""

    async def main():
        metrics = EdgeMetrics()
        upstream = Upstream(behaviour, latency_s)
        chain = chain_of(rows_of(A, B), upstream, watch=MintMetrics(metrics.registry))
        with suppress(NoToken):
            await chain.mint(SPEC)
        await asyncio.sleep(0)
        return metrics.registry.get_sample_value

    return run_virtual(main())


def hedges(count, result):
    return count("engram_mint_hedges_total", {"result": result})


def attempts(count, where, outcome):
    labels = {"strategy": "direct", "domain": where.name, "outcome": outcome}
    return count("engram_mint_attempts_total", labels)


def test_a_hedge_that_wins_and_whom_it_beat():
    count = told(lambda row, _: token(row) if row.domain is B else None)
    assert (hedges(count, "won"), hedges(count, "lost")) == (1, 0)
    assert (attempts(count, A, "cancelled"), attempts(count, B, "minted")) == (1, 1)


def test_a_hedge_that_loses():
    count = told(lambda row, _: token(row) if row.domain is A else None, latency_s=lambda: 1.0)
    assert (hedges(count, "won"), hedges(count, "lost")) == (0, 1)


def test_a_hedge_that_fails():
    count = told(lambda row, _: Verdict.TRANSIENT if row.domain is B else None)
    assert hedges(count, "failed") >= 1
    assert attempts(count, B, "transient") >= 1


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.TRANSIENT, "unavailable"),
        (Verdict.CREDENTIAL, "misconfigured"),
        (Verdict.THROTTLED, "throttled"),
        (Verdict.TIMEOUT, "deadline"),
    ],
)
def test_a_mint_that_fails_is_counted_by_what_its_caller_is_told(verdict, outcome):
    count = told(lambda _row, _: MintFailed(verdict, retry_after_s=30.0))
    assert count("engram_mint_requests_total", {"outcome": outcome}) == 1


# Who may read them


@pytest.mark.parametrize("environment", ["staging", "development"])
async def test_without_a_token_they_are_for_everybody_where_nobody_s_data_is(environment):
    async with running(broker_app(settings(environment=environment))) as broker:
        await scraped(broker)


def somewhere(environment, tmp_path, **changed):
    """A broker's settings there, with what that environment demands."""
    audit = {"audit_url": f"file:{tmp_path}"} if environment in {"test", "uat", "production"} else {}
    return settings(environment=environment, mint_allow_key=True, **SIGN_IN, **audit, **changed)


@pytest.mark.parametrize("environment", ["test", "uat", "production"])
async def test_without_a_token_where_people_s_data_is_there_is_no_such_route(
    environment, tmp_path, respx_mock
):
    async with running(broker_app(somewhere(environment, tmp_path))) as broker:
        response = await broker.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        unknown = await broker.get("/no-such-route")
    assert response.status_code == unknown.status_code == 404
    assert response.json() | {"trace_id": ""} == unknown.json() | {"trace_id": ""}


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_with_a_token_they_are_for_whoever_bears_it(environment, tmp_path, respx_mock):
    wrong = (TOKEN[:-1], TOKEN + "x", "dev_bob_admin", "\u00e9")
    async with running(broker_app(somewhere(environment, tmp_path, metrics_token=TOKEN))) as broker:
        for sent in ({}, *map(bearing, wrong)):
            problem(await broker.get("/metrics", headers=sent), 401, "not-signed-in")
        samples = await scraped(broker, bearing(TOKEN))
    assert value(samples, HTTP, route="/metrics", method="GET", status="401") == 5


def bearing(token):
    return {b"Authorization": f"Bearer {token}".encode()}


@pytest.mark.parametrize("token", ["short", "with a space in it 0123456789", "x" * 201])
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused_and_not_quoted(token):
    with pytest.raises(ValueError, match="16 to 200 printable") as caught:
        settings(metrics_token=token)
    assert token not in str(caught.value)


# What stands around every request


async def test_a_request_that_ends_without_an_answer_is_counted_as_such():
    async def breaks(_scope, _receive, _send):
        raise RuntimeError

    async def nothing(*_message):
        return {}

    metrics = EdgeMetrics()
    with pytest.raises(RuntimeError):
        await Measured(breaks, metrics, [])({"type": "http", "method": "GET"}, nothing, nothing)
    labels = {"route": "other", "method": "GET", "status": "none"}
    assert metrics.registry.get_sample_value(HTTP, labels) == 1
