"""One row asked over HTTP: what goes out on the wire, and what each answer means."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from broker.minting.attempt import Asking, retry_after_s, unix_seconds
from broker.minting.credentials import ApiKey
from broker.minting.domains import Domain
from broker.minting.outcomes import MintFailed, Part, Verdict
from broker.minting.rows import failsafe_rows
from broker.upstream import ANSWER_BYTES, Upstream, http_session
from tests.broker.build import AZURE, KEY, MINT, SPEC
from tests.clocks import Clock

DOMAIN = Domain("primary", AZURE, "gpt-realtime", (ApiKey(SecretStr(KEY)),))
ROW = failsafe_rows([DOMAIN])[0]
ALL = frozenset[Part]()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def ask(clock):
    async with http_session() as session:
        yield Asking(Upstream(session, connect_s=1, answer_s=2), filtered=True, now=clock)


def minted(clock, **changed):
    return {"value": "ek_1", "expires_at": int(clock()) + 60, "session": {}} | changed


async def test_the_wire_is_azure_s_ga_wire(ask, clock, respx_mock):
    route = respx_mock.post(MINT).respond(200, json=minted(clock))

    token = await ask(ROW, SPEC, ALL)

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
    assert "ek_canary" not in repr(await ask(ROW, SPEC, ALL))


REQUEST = "2f0f2f7c-8f0d-4a53-9d52-3f5b8d1c9a10"


def said(code, message="canary", param=None):
    return {"error": {"code": code, "message": message, "param": param}}


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (400, said("InvalidSessionType"), Verdict.WRONG_DIALECT),
        (400, said("unknown_parameter", param="session.type"), Verdict.WRONG_DIALECT),
        (400, said("BadRequest", "api-version query parameter is not allowed"), Verdict.WRONG_DIALECT),
        (400, said("invalid_value", param="session.audio.output.voice"), Verdict.SESSION_REFUSED),
        (400, said("OpperationNotSupported"), Verdict.SESSION_REFUSED),
        (400, said("unknown_parameter", param="session.audio.input.noise_reduction"), Verdict.REFUSED_PART),
        (400, said("unknown_parameter", param="expires_after"), Verdict.REFUSED_PART),
        (400, said("invalid_value", param="expires_after.seconds"), Verdict.REFUSED_PART),
        (400, said("invalid_value", param="session.audio.input.transcription.model"), Verdict.REFUSED_PART),
        (401, said("401"), Verdict.CREDENTIAL),
        (401, said("PermissionDenied", "the principal lacks the data action"), Verdict.CREDENTIAL),
        (401, said("401", "Audience validation failed"), Verdict.WRONG_AUDIENCE),
        (401, {"statusCode": 401, "message": "canary"}, Verdict.CREDENTIAL),
        (403, said("AuthenticationTypeDisabled"), Verdict.FORBIDDEN),
        (403, {}, Verdict.FORBIDDEN),
        (404, said("404", "Resource not found"), Verdict.NO_SUCH_ROUTE),
        (404, said("DeploymentNotFound"), Verdict.NO_SUCH_DEPLOYMENT),
        (405, {}, Verdict.NO_SUCH_ROUTE),
        (410, {}, Verdict.NO_SUCH_ROUTE),
        (302, {}, Verdict.REDIRECT),
        (408, {}, Verdict.TRANSIENT),
        (409, {}, Verdict.TRANSIENT),
        (425, {}, Verdict.TRANSIENT),
        (429, said("429"), Verdict.THROTTLED),
        (431, {}, Verdict.UNKNOWN),
        (418, {"error": "a string"}, Verdict.UNKNOWN),
        (500, {}, Verdict.TRANSIENT),
        (502, said("BadGateway"), Verdict.TRANSIENT),
        (503, [1, 2], Verdict.TRANSIENT),
        (504, {}, Verdict.TRANSIENT),
        (529, {}, Verdict.TRANSIENT),
    ],
)
async def test_each_refusal_has_its_word_and_none_of_azure_s_text(ask, respx_mock, status, body, verdict):
    headers = {"apim-request-id": REQUEST, "location": "https://x"}
    respx_mock.post(MINT).respond(status, json=body, headers=headers)
    with pytest.raises(MintFailed) as caught:
        await ask(ROW, SPEC, ALL)
    assert caught.value.verdict is verdict
    assert caught.value.request_id == REQUEST
    assert "canary" not in str(caught.value)
    assert len(respx_mock.calls) == 1


@pytest.mark.parametrize("part", Part)
async def test_an_omitted_part_is_not_in_the_body(ask, clock, respx_mock, part):
    route = respx_mock.post(MINT).respond(200, json=minted(clock))
    token = await ask(ROW, SPEC, frozenset({part}))
    sent = httpx.Response(200, content=route.calls.last.request.content).json()
    for name in part.split("."):
        sent = sent.get(name, {})
    assert sent == {}
    assert (token.session_update is None) is (part is not Part.TRANSCRIPTION)


async def test_a_transcription_that_was_omitted_is_handed_to_the_browser(ask, clock, respx_mock):
    respx_mock.post(MINT).respond(200, json=minted(clock))
    token = await ask(ROW, SPEC, frozenset({Part.TRANSCRIPTION}))
    assert token.session_update == {
        "type": "session.update",
        "session": {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}},
    }


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
        await ask(ROW, SPEC, ALL)
    assert caught.value.verdict is Verdict.BAD_ANSWER


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (httpx.ConnectError("canary"), Verdict.UNREACHABLE),
        (httpx.ReadError("canary"), Verdict.UNREACHABLE),
        (httpx.ReadTimeout("canary"), Verdict.TIMEOUT),
    ],
)
async def test_a_broken_connection_is_translated(ask, respx_mock, fault, verdict):
    respx_mock.post(MINT).mock(side_effect=fault)
    with pytest.raises(MintFailed) as caught:
        await ask(ROW, SPEC, ALL)
    assert caught.value.verdict is verdict


async def test_expiry_is_judged_by_azure_s_clock_and_not_by_ours(ask, clock, respx_mock):
    respx_mock.post(MINT).respond(200, json=minted(clock), headers={"date": "Wed, 18 Nov 2026 10:26:40 GMT"})
    clock.pass_s(3600)
    assert (await ask(ROW, SPEC, ALL)).value == "ek_1"


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
