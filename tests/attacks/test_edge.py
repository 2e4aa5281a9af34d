"""Attacks 25, 26, 30, 33 to 35 and 39: what a service answers to requests that were made to hurt it."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import time
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from broker.edge import bodies, serving
from broker.edge.bodies import DEEPEST, parse
from broker.edge.problems import TooDeep, Unreadable
from broker.minting.chain import MintChain
from tests.attacks.wire import closed, head, said_to, served, status_of
from tests.broker.build import settings
from tests.broker.conftest import azure, broker  # noqa: F401 - fixtures
from tests.broker.over_http import asked, broker_app, problem
from tests.enrichment.conftest import keys, open_to_all, signed_in  # noqa: F401 - fixtures
from tests.enrichment.service import as_person, grant, said
from tests.running import running

PAGE = "https://app.example.org"
JSON_POST = ("Content-Type: application/json",)
POST = ("POST", "/realtime/token", *JSON_POST)
FOREIGN = [
    "https://evil.example",
    "null",
    "https://app.example.org.evil.example",
    "https://evil.app.example.org",
    "http://app.example.org",
    "https://app.example.org:444",
    "https://APP.example.org",
    "",
]


@pytest.fixture
async def address():
    """The broker on a real socket, with nobody behind it to mint."""
    async with served(broker_app(settings(azure_voicelive_endpoint=None, azure_voicelive_key=None))) as url:
        yield url


# 25: a token that a cache, a history or another tab keeps


async def test_25_an_answer_with_a_token_or_a_grant_is_stored_nowhere(broker, azure, signed_in):  # noqa: F811
    minted = await broker.post("/realtime/token", json={})
    refused = await broker.post("/realtime/token", content=b"{")
    taken = await signed_in.post("/memory/enrich", json={"grant": grant(), "turns": [said("a")]})
    for response in (minted, refused, taken):
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/agents", "/status", "/health", "/nothing", "/.well-known/jwks.json"])
async def test_25_every_answer_says_what_a_browser_must_not_do_with_it(broker, open_to_all, path):  # noqa: F811
    for service in (broker, open_to_all):
        told = (await service.get(path)).headers
        assert told["x-content-type-options"] == "nosniff"
        assert told["referrer-policy"] == "no-referrer"
        assert told["strict-transport-security"] == "max-age=31536000"
        assert told["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert told["cache-control"] in {"no-store", "max-age=60"}


async def test_25_a_machine_of_one_s_own_is_not_held_to_tls(broker):  # noqa: F811
    for host in ("127.0.0.1:8080", "localhost:8080", "[::1]:8080"):
        told = (await broker.get("/health", headers={"Host": host})).headers
        assert "strict-transport-security" not in told


async def test_25_the_page_keeps_the_policy_it_came_with():
    async with running(broker_app(settings(serve_page=True))) as service:
        told = (await service.get("/")).headers
    assert told.get_list("content-security-policy")[0].startswith("default-src 'none'; script-src 'self'")
    assert len(told.get_list("content-security-policy")) == 1
    assert told["cache-control"] == "no-cache"


# 26: a page of another origin


@pytest.mark.parametrize("origin", FOREIGN)
async def test_26_a_foreign_page_mints_writes_and_erases_nothing(broker, signed_in, respx_mock, origin):  # noqa: F811
    theirs = as_person("alice") | {"Origin": origin}
    batch = {"grant": grant("dev:alice"), "turns": [said("a")]}
    beacon = {"Origin": origin, "Content-Type": "text/plain", "Sec-Fetch-Site": "cross-site"}
    answers = [
        await broker.post("/realtime/token", json={}, headers=theirs),
        await broker.post("/api/v1/voice/realtime/token", json={}, headers=theirs),
        await signed_in.post("/memory/enrich", json=batch, headers=theirs),
        await signed_in.post("/memory/enrich", content=json.dumps(batch), headers=beacon),
        await signed_in.post("/memory/search", json={"query": "a"}, headers=theirs),
        await signed_in.delete("/memory/users/me", headers=theirs),
    ]
    for response in answers:
        problem(response, 403, "not-allowed")
        assert "access-control-allow-origin" not in response.headers
    assert asked(respx_mock) == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_26_a_browser_that_names_no_origin_but_says_cross_site_is_refused(signed_in, site):  # noqa: F811
    headers = as_person("alice") | {"Sec-Fetch-Site": site}
    problem(await signed_in.delete("/memory/users/me", headers=headers), 403, "not-allowed")


async def test_26_a_preflight_of_a_foreign_page_allows_nothing(broker):  # noqa: F811
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    foreign = await broker.options("/realtime/token", headers={"Origin": FOREIGN[0], **asking})
    assert "access-control-allow-origin" not in foreign.headers
    listed = await broker.options("/realtime/token", headers={"Origin": PAGE, **asking})
    assert listed.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in listed.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://test", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=["a program", "a listed page", "our own page", "a person by hand"],
)
async def test_26_programs_listed_pages_and_beacons_get_through(broker, azure, signed_in, headers):  # noqa: F811
    assert (await broker.post("/realtime/token", json={}, headers=headers)).status_code == 200
    batch = {"grant": grant("dev:alice"), "turns": [said("a")]}
    beacon = headers | {"Content-Type": "text/plain;charset=UTF-8"}
    answer = await signed_in.post("/memory/enrich", content=json.dumps(batch), headers=beacon)
    assert answer.status_code == 202


# 30: bodies that are too large, too slow, too deep, or compressed


async def test_30_a_declared_hundred_megabytes_are_refused_unread(address):
    answer = await said_to(address, head(*POST, "Content-Length: 104857600", "Connection: close"))
    assert status_of(answer) == 413


async def test_30_a_flood_without_a_length_is_refused_and_takes_no_memory(address):
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    last = b"0\r\n\r\n" + head("GET", "/health", "Connection: close")
    flood = [head(*POST, "Transfer-Encoding: chunked"), *[chunk] * 100, last]
    assert status_of(await said_to(address, *flood)) == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 * 1024


async def test_30_a_body_of_a_byte_at_a_time_is_given_up_and_its_connection_closed(address, monkeypatch):
    monkeypatch.setattr(bodies, "READ_DEADLINE_S", 0.2)
    drops = [head(*POST, "Content-Length: 1000"), *[b" "] * 100]
    answer = await said_to(address, *drops, pause_s=0.02)
    assert status_of(answer) == 408
    assert b"urn:voicelive:problem:body-too-slow" in answer
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("begun", [b"", b"POST /realtime/token HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_30_a_head_that_never_ends_is_given_up(address, monkeypatch, begun):
    monkeypatch.setattr(serving, "REQUEST_S", 0.2)
    assert await said_to(address, begun, *[b""] * 3, pause_s=0.02) == b""


async def test_30_a_second_request_of_a_connection_may_not_linger_either(address, monkeypatch):
    monkeypatch.setattr(serving, "REQUEST_S", 0.3)
    answer = await said_to(address, head("GET", "/health"), b"GET /health HT", *[b"T"] * 3, pause_s=0.05)
    assert answer.count(b"HTTP/1.1 200") == 1


async def test_30_a_head_without_end_is_cut_off(address):
    lines = [f"X-{number}: {'x' * 1000}\r\n".encode() for number in range(66)]
    answer = await said_to(address, b"GET /health HTTP/1.1\r\nHost: x\r\n", *lines)
    assert status_of(answer) == 431
    assert b"healthy" not in answer


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "x-made-up", "gzip, identity"])
async def test_30_a_compressed_body_is_never_unpacked(broker, open_to_all, coding):  # noqa: F811
    bomb = gzip.compress(b" " * 1_000_000)
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    for service, path in ((broker, "/realtime/token"), (open_to_all, "/memory/enrich")):
        problem(await service.post(path, content=bomb, headers=headers), 415, "compressed-body")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
async def test_30_ten_thousand_levels_are_refused_on_every_route_that_reads_json(broker, signed_in, opening):  # noqa: F811
    content = opening * (4_000 // len(opening))
    headers = as_person("alice") | {"Content-Type": "application/json"}
    answers = [await broker.post("/realtime/token", content=content, headers=headers)]
    for path in ("/memory/enrich", "/conversation/turn", "/memory/search"):
        answers.append(await signed_in.post(path, content=content, headers=headers))
    for response in answers:
        problem(response, 400, "body-too-deep")


async def test_30_a_hundred_thousand_turns_are_one_refusal(open_to_all):  # noqa: F811
    content = b'{"turns":[' + b"{}," * 100_000 + b"{}]}"
    answer = await open_to_all.post(
        "/memory/enrich", content=content, headers={"Content-Type": "application/json"}
    )
    problem(answer, 413, "body-too-large")


ANYTHING = TypeAdapter(object)
WORDS = st.text(st.sampled_from('[]{}"\\a'), max_size=8)
NESTED = st.recursive(
    st.none() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=20,
)


def depth_of(value) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(NESTED)
def test_30_depth_is_counted_as_json_means_it_whatever_the_strings_hold(value):
    content = json.dumps(value).encode()
    if depth_of(value) > DEEPEST:
        with pytest.raises(TooDeep):
            parse(ANYTHING, content)
    else:
        assert parse(ANYTHING, content) == value


@given(st.text(st.sampled_from('[]{}"\\,:1'), max_size=400))
@example_settings(deadline=None)
def test_30_what_is_no_json_is_refused_in_time_whatever_it_is(text):
    with suppress(TooDeep, Unreadable):
        parse(ANYTHING, text.encode())


@pytest.mark.parametrize(
    "body",
    [
        b'[[[[[["' + b'\\"' * 30_000,
        b'"[[[[[[[' + b"\\" * 60_001,
        b'""' * 30_000 + b"[" * 6 + b"{" * 6,
        b'"a' * 30_001 + b"[" * 7,
    ],
    ids=["escaped quotes", "backslashes", "empty strings", "strings"],
)
def test_30_a_string_that_never_ends_costs_one_walk_over_it(body):
    began = time.process_time()
    with pytest.raises((TooDeep, Unreadable)):
        parse(ANYTHING, body)
    assert time.process_time() - began < 1.0  # a walk from each quote would take minutes


# 39: two readings of one request


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 2"),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: 2", "Content-Length: 2"),
        ("Content-Length: +2",),
        ("Content-Length: 2, 2",),
        ("Content-Length: -1",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding : chunked",),
    ],
    ids=" + ".join,
)
async def test_39_a_body_of_two_lengths_or_of_none_is_refused_and_nothing_behind_it_is_read(address, lines):
    smuggled = head("GET", "/health")
    answer = await said_to(address, head(*POST, *lines), b"0\r\n\r\n" + smuggled)
    assert status_of(answer) == 400
    assert b"healthy" not in answer


async def test_39_a_chunked_body_alone_is_an_ordinary_one(address):
    answer = await said_to(
        address, head(*POST, "Transfer-Encoding: chunked", "Connection: close"), b"2\r\n{}\r\n0\r\n\r\n"
    )
    assert b"urn:voicelive:problem:voice-not-configured" in answer


# 33 to 35: what comes back from upstream


@pytest.mark.parametrize(
    "wish", ["99999999", "-5", "NaN", "inf", "1e400", "Wed, 18 Nov 2099 11:06:50 GMT", "soon", "0", ""]
)
async def test_33_whatever_azure_wishes_callers_are_told_a_sane_time(broker, azure, wish):  # noqa: F811
    azure.respond(429, headers={"Retry-After": wish, "retry-after-ms": "x"}, json={"error": {"code": "429"}})
    response = await broker.post("/realtime/token", json={})
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert problem(response, 503, "mint-throttled")["retry_after_ms"] <= 60_000


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 200, "content": b"x" * 10_000_000},
        {"status_code": 200, "content": b'{"value": "' + b"e" * 100_000 + b'"}'},
        {"status_code": 200, "content": b"[" * 60_000},
        {"status_code": 200, "json": {"value": 7, "expires_at": "soon"}},
        {"status_code": 200, "text": "<html>Sign in</html>"},
    ],
)
async def test_35_a_huge_or_garbled_token_is_a_problem_of_upstream_and_quotes_nothing(broker, azure, answer):  # noqa: F811
    azure.respond(**answer)
    response = await broker.post("/realtime/token", json={})
    problem(response, 503, "mint-unavailable")
    assert len(response.content) < 1_000


async def test_34_a_body_that_drips_ends_with_its_attempt(monkeypatch):
    monkeypatch.setattr("broker.app.MintChain", partial(MintChain, attempt_s=0.3))
    over, dripping = asyncio.Event(), []

    async def drip(reader, writer):
        dripping.append(asyncio.current_task())
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        while not over.is_set() and not writer.is_closing():
            writer.write(b" ")
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.05)
        await closed(writer)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with running(broker_app(settings(azure_voicelive_endpoint=url))) as service, asyncio.timeout(6):
            response = await service.post("/realtime/token", json={})
        over.set()
        await asyncio.gather(*dripping)
    assert response.status_code in {503, 504}
