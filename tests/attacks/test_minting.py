"""Attacks 20, 24 and 32, on the way to Azure: led elsewhere, made to tell what it says, and stormed."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest
from pydantic import ValidationError

from broker.edge.startup import mistakes
from broker.edge.telemetry import configure_logging
from broker.minting.no_token import NoToken
from broker.minting.outcomes import Verdict
from tests.broker.build import AZURE, KEY, MINT, SPEC, settings
from tests.broker.conftest import azure, broker  # noqa: F401 - fixtures
from tests.broker.over_http import asked, broker_app
from tests.broker.upstreams import Upstream, chain_of, domain, rows_of, token
from tests.running import running
from tests.virtual_time import run_virtual

# 20: an address that is not what it looks like

TRAPS = [
    "https://openai.azure.com.evil",
    "https://res.openai.azure.com.evil.example",
    "https://res.openai.azure.com.",
    "https://resopenai.azure.com",
    "https://a.b.openai.azure.com",
    "https://openai.azure.com",
    "https://res.openai.azure.com-evil.example",
    "https://res.cognitiveservices.azure.com.evil.example",
    "https://res.services.ai.azure.com.evil.example",
    "https://res.openai.azure.us",
    "https://res.\u043epenai.azure.com",  # a Cyrillic o
    "https://res.openai.azure\u3002com",  # a full stop of another script
    "https://res.openai.azure.com\uff0eevil.example",
    "https://user@res.openai.azure.com",
    "https://user:password@res.openai.azure.com",
    "https://res.openai.azure.com@evil.example",
    "https://res.openai.azure.com:443@evil.example",
    "https://evil.example#res.openai.azure.com",
    "https://evil.example?res.openai.azure.com",
    "https://evil.example/res.openai.azure.com",
    "https://evil.example\\@res.openai.azure.com",
    "https://res.openai.azure.com%2eevil.example",
    "https://res.openai.azure.com%00.evil.example",
    "https://res.openai.azure.com\n.evil.example",
    "https://10.0.0.4",
    "https://169.254.169.254/openai",
    "http://169.254.169.254",
    "https://[fd00:ec2::254]",
    "https://[::ffff:169.254.169.254]",
    "https://2852039166",  # 169.254.169.254 in one number, as resolvers read it
    "https://0xa9fea9fe",
    "https://0251.0376.0251.0376",
    "https://169.254.43518",
    "http://res.openai.azure.com",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "https://res.openai.azure.com:22",
    "https://res.openai.azure.com:0",
    "https://res.openai.azure.com:99999",
    "file:///etc/passwd",
    "gopher://res.openai.azure.com",
    "//res.openai.azure.com",
]


@pytest.mark.parametrize("endpoint", TRAPS)
def test_20_no_address_that_only_looks_like_azure_s_gets_a_key(endpoint):
    other = [{"region": "other", "endpoint": endpoint, "key": KEY}]
    for changed in ({"azure_voicelive_endpoint": endpoint}, {"azure_voicelive_domains": other}):
        with pytest.raises(ValidationError) as caught:
            settings(**changed)
        (line,) = mistakes(caught.value)
        assert line.startswith(next(iter(changed)).upper())
        assert KEY not in line


@pytest.mark.parametrize(
    "endpoint",
    ["https://RES.openai.azure.com", "https://res.openai.azure.com:443", "https://gw.example:8443"],
)
def test_20_what_is_what_it_looks_like_is_taken(endpoint):
    assert settings(azure_voicelive_endpoint=endpoint)


WISHES = [
    {"endpoint": "https://evil.example", "calls_url": "https://evil.example", "model": "theirs"},
    {"azure_voicelive_endpoint": "https://evil.example", "url": "http://169.254.169.254"},
    {"session": {"instructions": "obey"}, "enrichment": {"url": "https://evil.example"}},
]


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: next(iter(wish)))
async def test_20_a_caller_chooses_nothing_of_where_we_ask(broker, azure, respx_mock, wish):  # noqa: F811
    headers = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "Host": "evil.example"}
    answer = await broker.post("/realtime/token?endpoint=https://evil.example", json=wish, headers=headers)
    assert answer.status_code == 200
    assert "evil" not in answer.text
    assert answer.json()["calls_url"].startswith(f"{AZURE}/")
    sent = azure.calls.last.request.content
    assert b"evil" not in sent
    assert b"obey" not in sent
    assert asked(respx_mock) == [MINT]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_20_a_redirect_is_followed_nowhere(broker, respx_mock, status):  # noqa: F811
    elsewhere = {"Location": "https://evil.example/collect"}
    respx_mock.post(MINT).respond(status, headers=elsewhere, json={})
    evil = respx_mock.route(host="evil.example").respond(200, json={"value": "ek_theirs"})
    answer = await broker.post("/realtime/token", json={})
    assert answer.status_code in {502, 503}
    assert "evil" not in f"{answer.text}{answer.headers}"
    assert evil.call_count == 0


# 24: an upstream that says back what it was told

ECHOES = [
    {"json": {"error": {"code": "401", "message": f"Access denied for key {KEY}", "param": KEY}}},
    {"json": {"error": {"code": KEY, "innererror": {"key": KEY}}}},
    {"html": f"<html><h1>Error</h1>{KEY}<script>alert(1)</script></html>"},
    {"text": f"api-key: {KEY}"},
    {"content": KEY.encode("utf-16")},
]
ECHOED = {"www-authenticate": f"Key {KEY}", "x-error": KEY, "apim-request-id": KEY, "set-cookie": f"k={KEY}"}


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 409, 429, 500, 503])
async def test_24_nothing_that_azure_says_of_a_failure_is_passed_on(respx_mock, capfd, status):
    configure_logging("DEBUG")
    for said in ECHOES:
        respx_mock.post(MINT).mock(return_value=httpx.Response(status, headers=ECHOED, **said))
        async with running(broker_app(settings())) as fresh:
            answer = await fresh.post("/realtime/token", json={})
            told = (await fresh.get("/realtime/strategies")).text
        assert answer.status_code in {502, 503}
        assert answer.headers["content-type"] == "application/problem+json"
        for place in (answer.text, str(answer.headers), told):
            assert KEY not in place
            assert "<" not in place
    logged = "".join(capfd.readouterr())
    assert "token.failed" in logged
    assert KEY not in logged


# 32: everybody comes back at once

DARK_FROM, DARK_UNTIL, CLIENTS = 10.0, 70.0, 1000
A, B = domain("a"), domain("b")


class Storm:
    """A thousand pages, and both regions dark for a minute; each comes back when it is told to."""

    def __init__(self, said) -> None:
        """Made in its loop."""

        def behaviour(row, at):
            if row.strategy.label != "direct":
                return Verdict.NO_SUCH_ROUTE
            return said if DARK_FROM <= at < DARK_UNTIL else token(row)

        self.upstream = Upstream(behaviour)
        self.chain = chain_of(rows_of(A, B), self.upstream)
        self.refused_at: list[float] = []
        self.waits: list[float] = []
        self.requests = 0

    async def page(self, first_at: float) -> None:
        await asyncio.sleep(first_at)
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            self.requests += began < DARK_UNTIL
            try:
                await self.chain.mint(SPEC)
            except NoToken as exc:
                self.refused_at.append(began)
                self.waits.append(exc.retry_after_s)
                await asyncio.sleep(exc.retry_after_s)
            else:
                return


async def raging(said) -> Storm:
    storm, rng = Storm(said), random.Random(32)
    await asyncio.gather(*(storm.page(rng.uniform(0, DARK_UNTIL + 20)) for _ in range(CLIENTS)))
    return storm


@pytest.mark.parametrize("said", [None, Verdict.TRANSIENT, Verdict.UNREACHABLE])
def test_32_a_thousand_who_come_back_to_an_outage_neither_prolong_it_nor_storm(said):
    storm = run_virtual(raging(said))
    during = sum(at < DARK_UNTIL for at, _ in storm.upstream.asked)
    assert during / storm.requests <= 1.2
    assert max(storm.refused_at) <= DARK_UNTIL + 1.0
    assert min(storm.waits) >= 1.0
    assert len({round(wait, 3) for wait in storm.waits}) > len(storm.waits) * 0.3  # nobody marches in step
