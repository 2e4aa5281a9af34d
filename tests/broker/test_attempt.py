"""One row asked over HTTP: what goes out on the wire, and what each answer means."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from broker.minting.attempt import Asking, retry_after_s, unix_seconds
from broker.minting.outcomes import MintFailed, Verdict
from broker.minting.rows import failsafe_rows
from broker.upstream import ANSWER_BYTES, Upstream
from tests.broker.build import AZURE, KEY, MINT, SPEC
from tests.clocks import Clock

(ROW,) = failsafe_rows(AZURE, "gpt-realtime", SecretStr(KEY))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def ask(clock):
    async with httpx.AsyncClient() as http:
        yield Asking(Upstream(http, connect_s=1, answer_s=2), filtered=True, now=clock)


def minted(clock, **changed):
    return {"value": "ek_1", "expires_at": int(clock()) + 60, "session": {}} | changed


async def test_the_wire_is_azure_s_ga_wire(ask, clock, respx_mock):
    route = respx_mock.post(MINT).respond(200, json=minted(clock))

    token = await ask(ROW, SPEC)

    sent = route.calls.last.request
    body = httpx.Response(200, content=sent.content).json()
    assert sent.headers["api-key"] == KEY
    assert "authorization" not in sent.headers
    assert str(sent.url) == MINT
    assert body["expires_after"] == {"anchor": "created_at", "seconds": 60}
    assert body["session"]["type"] == "realtime"
    assert body["session"]["model"] == "gpt-realtime"
    assert body["session"]["audio"]["output"] == {"voice": "marin"}
    assert body["session"]["audio"]["input"]["transcription"] == {"model": "whisper-1"}
    assert body["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert token.calls_url == f"{AZURE}/openai/v1/realtime/calls?webrtcfilter=on"


async def test_a_token_never_shows_in_its_repr(ask, clock, respx_mock):
    respx_mock.post(MINT).respond(200, json=minted(clock, value="ek_canary"))
    assert "ek_canary" not in repr(await ask(ROW, SPEC))


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (400, {"error": {"code": "InvalidSessionType", "message": "canary"}}, Verdict.SESSION_REFUSED),
        (400, {"error": {"code": "OpperationNotSupported", "message": "canary"}}, Verdict.SESSION_REFUSED),
        (401, {"error": {"code": "401", "message": "canary"}}, Verdict.CREDENTIAL),
        (401, {"statusCode": 401, "message": "canary"}, Verdict.CREDENTIAL),
        (403, {"error": {"code": "AuthenticationTypeDisabled", "message": "canary"}}, Verdict.CREDENTIAL),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, Verdict.NO_SUCH_ROUTE),
        (404, {"error": {"code": "DeploymentNotFound", "message": "canary"}}, Verdict.NO_SUCH_DEPLOYMENT),
        (405, {}, Verdict.NO_SUCH_ROUTE),
        (302, {}, Verdict.NO_SUCH_ROUTE),
        (408, {}, Verdict.TRANSIENT),
        (429, {"error": {"code": "429", "message": "canary"}}, Verdict.THROTTLED),
        (418, {"error": "a string"}, Verdict.UNKNOWN),
        (500, {}, Verdict.TRANSIENT),
        (503, [1, 2], Verdict.TRANSIENT),
    ],
)
async def test_each_refusal_has_its_word_and_none_of_azure_s_text(ask, respx_mock, status, body, verdict):
    respx_mock.post(MINT).respond(
        status, json=body, headers={"apim-request-id": "r-1", "location": "https://x"}
    )
    with pytest.raises(MintFailed) as caught:
        await ask(ROW, SPEC)
    assert caught.value.verdict is verdict
    assert caught.value.request_id == "r-1"
    assert "canary" not in str(caught.value)
    assert len(respx_mock.calls) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "<html>hello</html>"},
        {"content": b""},
        {"json": []},
        {"json": {"expires_at": 1_900_000_000}},
        {"json": {"value": "", "expires_at": 1_900_000_000}},
        {"json": {"value": 7, "expires_at": 1_900_000_000}},
        {"json": {"value": "ek_1"}},
        {"json": {"value": "ek_1", "expires_at": True}},
        {"json": {"value": "ek_1", "expires_at": "soon"}},
        {"json": {"value": "ek_1", "expires_at": 1_000_000_000}},
        {"content": b'{"value": "ek_1", "pad": "' + b"x" * ANSWER_BYTES + b'"}'},
        {"content": b"[" * 60_000},
    ],
)
async def test_an_answer_that_is_no_token_is_a_bad_answer(ask, respx_mock, answer):
    respx_mock.post(MINT).respond(200, **answer)
    with pytest.raises(MintFailed) as caught:
        await ask(ROW, SPEC)
    assert caught.value.verdict is Verdict.BAD_ANSWER


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (httpx.ConnectError("canary"), Verdict.TRANSIENT),
        (httpx.ReadError("canary"), Verdict.TRANSIENT),
        (httpx.ReadTimeout("canary"), Verdict.TIMEOUT),
    ],
)
async def test_a_broken_connection_is_translated(ask, respx_mock, fault, verdict):
    respx_mock.post(MINT).mock(side_effect=fault)
    with pytest.raises(MintFailed) as caught:
        await ask(ROW, SPEC)
    assert caught.value.verdict is verdict


async def test_expiry_is_judged_by_azure_s_clock_and_not_by_ours(ask, clock, respx_mock):
    respx_mock.post(MINT).respond(200, json=minted(clock), headers={"date": "Wed, 18 Nov 2026 10:26:40 GMT"})
    clock.pass_s(3600)
    assert (await ask(ROW, SPEC)).value == "ek_1"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_790_000_060, 1_790_000_060),
        (1_790_000_060.9, 1_790_000_060),
        ("1790000060", 1_790_000_060),
        ("2026-09-21T13:34:20Z", 1_789_997_660),
        ("2026-09-21T13:34:20+02:00", 1_789_990_460),
        ("nonsense", None),
        (None, None),
        (float("inf"), None),
        (False, None),
    ],
)
def test_an_expiry_in_any_form_becomes_unix_seconds(value, seconds):
    assert unix_seconds(value) == seconds


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after": "99999999"}, 60.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 18 Nov 2026 11:06:50 GMT"}, 10.0),
    ],
)
def test_a_wish_to_wait_is_understood_and_clamped(headers, wait_s):
    assert retry_after_s(httpx.Headers(headers), now_s=1_795_000_000.0) == wait_s
