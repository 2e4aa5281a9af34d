"""What goes wrong is a problem document of ours, and says nothing of anybody else's."""

from __future__ import annotations

import json

import httpx
import pytest

from broker.edge.telemetry import configure_logging
from tests.broker.build import ENRICHMENT, KEY, MINT, settings
from tests.broker.over_http import CONTEXT, ORIGIN, asked, broker_app, minted, problem
from tests.running import running


@pytest.mark.parametrize(
    ("body", "content_type", "status", "name"),
    [
        (b'{"agent_id": "nobody"}', "application/json", 422, "invalid-request"),
        (b'{"agent_id": "../x"}', "application/json", 422, "invalid-request"),
        (b'{"session_id": "../../etc"}', "application/json", 422, "invalid-request"),
        (b'{"session_id": "a/b"}', "application/json", 422, "invalid-request"),
        (b'{"session_id": 7}', "application/json", 422, "invalid-request"),
        (b"[]", "application/json", 422, "invalid-request"),
        (b'{"session_id": "\\ud800"}', "application/json", 400, "unreadable-body"),
        (b"{", "application/json", 400, "unreadable-body"),
        (b"\xff\xfe", "application/json", 400, "unreadable-body"),
        (b"[" * 4000, "application/json", 400, "body-too-deep"),
        (b'{"a": "' + b"x" * 5000 + b'"}', "application/json", 413, "body-too-large"),
        (b"{}", "text/plain", 415, "wrong-media-type"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "wrong-media-type"),
    ],
)
async def test_a_body_that_is_not_right_is_a_problem_and_nothing_is_minted(
    broker, respx_mock, body, content_type, status, name
):
    response = await broker.post("/realtime/token", content=body, headers={"Content-Type": content_type})
    problem(response, status, name)
    assert asked(respx_mock) == []


async def test_a_problem_names_the_place_and_does_not_repeat_the_value(broker):
    response = await broker.post("/realtime/token", json={"session_id": "canary/../value"})
    body = problem(response, 422, "invalid-request")
    assert body["errors"][0]["pointer"] == "/session_id"
    assert "canary" not in response.text


async def test_a_body_without_a_length_is_cut_off_too(broker):
    async def endless():
        for _ in range(100):
            yield b" " * 1024

    response = await broker.post(
        "/realtime/token", content=endless(), headers={"Content-Type": "application/json"}
    )
    problem(response, 413, "body-too-large")


@pytest.mark.parametrize(
    ("upstream", "status", "name", "retry_after"),
    [
        ({"status_code": 401, "text": "canary"}, 502, "mint-misconfigured", None),
        ({"status_code": 403, "text": "canary"}, 502, "mint-misconfigured", None),
        ({"status_code": 404, "text": "canary"}, 502, "mint-misconfigured", None),
        ({"status_code": 400, "json": {"error": {"message": "canary"}}}, 502, "mint-misconfigured", None),
        ({"status_code": 429, "headers": {"retry-after": "9"}, "text": "canary"}, 503, "mint-throttled", "9"),
        ({"status_code": 429, "headers": {"retry-after": "0"}, "text": "canary"}, 503, "mint-throttled", "1"),
        ({"status_code": 503, "text": "canary"}, 503, "mint-unavailable", "2"),
        ({"status_code": 200, "text": "<html>canary</html>"}, 503, "mint-unavailable", "2"),
        ({"status_code": 200, "json": {"canary": 1}}, 503, "mint-unavailable", "2"),
    ],
)
async def test_what_azure_says_never_reaches_the_browser_nor_becomes_its_401(
    broker, respx_mock, upstream, status, name, retry_after
):
    respx_mock.post(MINT).respond(**upstream)
    response = await broker.post("/realtime/token")
    body = problem(response, status, name)
    assert response.headers.get("retry-after") == retry_after
    assert body["retryable"] is (retry_after is not None)
    assert "canary" not in response.text
    assert KEY not in response.text


async def test_unknown_routes_and_agents_are_problems_too(broker):
    problem(await broker.get("/config/nobody"), 404, "unknown-agent")
    for response, status in [(await broker.get("/nothing"), 404), (await broker.get("/realtime/token"), 405)]:
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"] == "about:blank"


async def test_even_a_bug_answers_with_a_problem_that_the_page_may_read(broker, respx_mock, capsys):
    respx_mock.post(MINT).mock(side_effect=KeyError("canary"))
    response = await broker.post("/realtime/token", headers=ORIGIN)
    problem(response, 500, "internal-error")
    assert response.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    assert "canary" not in response.text


async def test_only_listed_origins_are_let_in(broker):
    preflight = ORIGIN | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    assert (await broker.options("/realtime/token", headers=preflight)).status_code == 200
    for stranger in ("https://app.example.org.evil", "http://app.example.org", "null"):
        response = await broker.options("/realtime/token", headers=preflight | {"Origin": stranger})
        assert response.status_code == 400
        assert "access-control-allow-origin" not in response.headers


async def test_the_trace_of_the_page_goes_through(broker):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = await broker.get(
        "/config/nobody", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    )
    assert response.json()["trace_id"] == response.headers["x-trace-id"] == trace_id


async def test_a_resource_that_refuses_the_transcription_still_gets_it_from_the_browser(broker, respx_mock):
    def answer(request):
        heard = json.loads(request.content)["session"]["audio"]["input"]
        return httpx.Response(500) if "transcription" in heard else httpx.Response(200, json=minted())

    respx_mock.post(MINT).mock(side_effect=answer)
    update = (await broker.post("/realtime/token")).json()["session_update"]
    assert update["type"] == "session.update"
    assert update["session"]["audio"]["input"] == {"transcription": {"model": "whisper-1"}}


async def test_no_secret_is_in_any_log(azure, respx_mock, capfd):
    configure_logging("DEBUG")
    respx_mock.get(CONTEXT).respond(200, json={"facts": ["canary fact"]})
    async with running(broker_app(settings(enrichment_url=ENRICHMENT))) as broker:
        answer = (await broker.post("/realtime/token")).json()
        azure.respond(401, text="canary upstream text")
        await broker.post("/realtime/token")
        azure.mock(side_effect=KeyError("canary bug"))
        await broker.post("/realtime/token")
    logged = "".join(capfd.readouterr())
    assert "token.minted" in logged
    assert "token.failed" in logged
    assert '"event": "bug"' in logged
    for secret in ("canary", KEY, answer["enrichment"]["grant"]):
        assert secret not in logged
