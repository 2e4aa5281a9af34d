"""Spans of the broker: one trace from the page to each attempt at Azure, with nobody's words in it."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.trace import SpanKind, StatusCode

import broker.edge.settings
from broker.app import create_app
from broker.edge.telemetry import configure_logging
from broker.edge.tracing import Tracing, current_traceparent, span_context_of
from tests.broker.build import ENRICHMENT, KEY, MINT, settings
from tests.broker.over_http import CONTEXT, minted
from tests.broker.test_on_record import ALICE
from tests.on_record import ON_RECORD
from tests.running import running
from tests.spans import HangingExporter, RaisingExporter, Spans

TRACE, PAGE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
AZURE_S = "2f0f2f7c-8f0d-4a53-9d52-3f5b8d1c9a10"  # its name for a request
HEADERS = {"traceparent": f"00-{TRACE}-{PAGE}-01"}
FURTHER = "https://further.example.org"
MINT_FURTHER = MINT.replace("https://gateway.example.org", FURTHER)
TWO_DOMAINS = f'[{{"region": "further", "endpoint": "{FURTHER}", "key": "canary-further-key"}}]'
INSIGHTS = "InstrumentationKey=11111111-2222-3333-4444-555555555555"


@pytest.fixture
def spans():
    return Spans()


def traced(exporter, **changed):
    return running(create_app(settings(**changed), probing=False, exporter=exporter))


async def asked_for_a_token(exporter, headers=HEADERS, **changed):
    """The answer to one request, with all of its spans exported."""
    async with traced(exporter, **changed) as broker:
        return await broker.post("/realtime/token", json={"session_id": "s-1"}, headers=headers)


async def test_the_page_s_trace_id_is_in_every_span_the_answer_the_log_and_what_azure_is_told(
    spans, azure, respx_mock, capfd
):
    configure_logging("INFO")
    respx_mock.get(CONTEXT).respond(200, json={"facts": []})
    response = await asked_for_a_token(spans, enrichment_url=ENRICHMENT)

    assert spans.trace_ids() == {TRACE}
    assert response.headers["x-trace-id"] == TRACE
    assert azure.calls.last.request.headers["x-ms-client-request-id"] == TRACE
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines() if "token.minted" in line]
    assert line["trace_id"] == TRACE


async def test_spans_hang_together_from_the_page_to_the_attempt(spans, azure):
    await asked_for_a_token(spans)

    request, mint, attempt = spans.one("POST /realtime/token"), spans.one("mint"), spans.one("mint.attempt")
    assert f"{request.parent.span_id:016x}" == PAGE
    assert mint.parent.span_id == request.context.span_id
    assert attempt.parent.span_id == mint.context.span_id
    assert (request.kind, attempt.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert request.attributes["engram.session_id"] == "s-1"
    assert request.attributes["http.response.status_code"] == 200


async def test_without_a_traceparent_spans_have_the_trace_id_that_the_answer_has(spans, azure):
    response = await asked_for_a_token(spans, headers={})
    assert spans.trace_ids() == {response.headers["x-trace-id"]}
    assert spans.one("POST /realtime/token").parent is None


async def test_an_attempt_says_which_row_was_asked_and_what_came_of_it(spans, respx_mock):
    respx_mock.post(MINT).respond(200, json=minted(), headers={"apim-request-id": AZURE_S})
    await asked_for_a_token(spans)
    assert dict(spans.one("mint.attempt").attributes) == {
        "mint.strategy": "direct",
        "mint.domain": "primary",
        "mint.dialect": "ga",
        "mint.outcome": "minted",
        "server.address": "gateway.example.org",
        "http.response.status_code": 200,
        "azure.request_id": AZURE_S,
    }


async def test_what_is_no_request_id_stands_on_no_span(spans, respx_mock):
    respx_mock.post(MINT).respond(200, json=minted(), headers={"apim-request-id": "canary-our-own-key"})
    await asked_for_a_token(spans)
    assert "azure.request_id" not in spans.one("mint.attempt").attributes
    assert "canary" not in spans.text()


async def test_a_failing_attempt_is_seen_beside_the_one_that_minted(spans, respx_mock):
    respx_mock.post(MINT).respond(429, headers={"apim-request-id": AZURE_S})
    respx_mock.post(MINT_FURTHER).respond(200, json=minted())
    response = await asked_for_a_token(spans, azure_voicelive_domains=TWO_DOMAINS)

    assert response.status_code == 200
    first, second = sorted(spans.named("mint.attempt"), key=lambda span: span.start_time)
    assert (first.attributes["mint.outcome"], first.status.status_code) == ("throttled", StatusCode.ERROR)
    assert (first.attributes["http.response.status_code"], first.attributes["mint.domain"]) == (
        429,
        "primary",
    )
    assert (second.attributes["mint.outcome"], second.attributes["mint.domain"]) == ("minted", "further")
    assert spans.one("mint").status.status_code is not StatusCode.ERROR


async def test_a_hedge_is_seen_beside_the_slow_one_that_it_overtook(spans, respx_mock):
    async def never(_request):
        await asyncio.sleep(30)

    respx_mock.post(MINT).mock(side_effect=never)
    respx_mock.post(MINT_FURTHER).respond(200, json=minted())
    response = await asked_for_a_token(spans, azure_voicelive_domains=TWO_DOMAINS)

    assert response.status_code == 200
    outcomes = {
        span.attributes["mint.domain"]: span.attributes["mint.outcome"]
        for span in spans.named("mint.attempt")
    }
    assert outcomes == {"primary": "abandoned", "further": "minted"}
    assert spans.trace_ids() == {TRACE}


async def test_reading_memory_is_a_span_that_enrichment_can_hang_on(spans, azure, respx_mock):
    context = respx_mock.get(CONTEXT).respond(200, json={"facts": ["canary fact"]})
    await asked_for_a_token(spans, enrichment_url=ENRICHMENT)
    recall = spans.one("memory.recall")
    assert recall.attributes["memory.status"] == "hit"
    sent = context.calls.last.request.headers["traceparent"]
    assert sent == f"00-{TRACE}-{recall.context.span_id:016x}-01"


async def test_both_writes_to_the_audit_are_spans(spans, azure, tmp_path):
    demanded = ON_RECORD | {"audit_url": f"file:{tmp_path}", "auth_required": True, "auth_dev_tokens": True}
    await asked_for_a_token(spans, headers=ALICE, **demanded)
    assert len(spans.named("audit.write")) == 2


async def test_a_request_is_called_by_its_route_and_never_by_its_path(spans):
    async with traced(spans) as broker:
        await broker.get("/config/canary-path?canary=query")
        await broker.get("/api/v1/voice/config/canary-path")
        await broker.get("/canary-nowhere")
        await broker.request("CANARY", "/agents")
        await broker.get("/health")
    names = {span.name for span in spans.get_finished_spans()}
    assert names == {"GET /config/{agent_id}", "GET /api/v1/voice/config/{agent_id}", "GET", "HTTP /agents"}
    assert "canary" not in spans.text().lower()


def failures(respx_mock):
    """Everybody that is asked says the word, in every part of an answer or an error."""
    said = {"error": {"code": "canary", "message": "canary", "param": "canary"}}
    respx_mock.post(MINT).respond(500, json=said, headers={"server": "canary"})
    respx_mock.get(CONTEXT).mock(side_effect=httpx.ConnectError("canary"))


async def test_no_span_holds_what_anybody_said_sent_or_is_called(spans, respx_mock):
    failures(respx_mock)
    identity = {"Authorization": "Bearer dev_canary_analyst", "Cookie": "canary", "User-Agent": "canary"}
    known = {"enrichment_url": ENRICHMENT, "auth_required": True, "auth_dev_tokens": True}
    async with traced(spans, **known) as broker:
        asking = {"headers": HEADERS | identity, "params": {"q": "canary"}}
        assert (await broker.post("/realtime/token", json={"x": "canary"}, **asking)).status_code == 503
        assert (
            await broker.post("/realtime/token", json={"agent_id": "canary!"}, **asking)
        ).status_code == 422
        respx_mock.post(MINT).respond(200, json=minted())
        await broker.post("/realtime/token", json={}, **asking)
    assert len(spans.named("mint")) >= 1
    assert not [word for word in ("canary", KEY, "Bearer", "eyJ", "ek_") if word in spans.text()]


async def test_a_bug_is_a_span_with_its_class_and_none_of_its_words(spans, azure, monkeypatch):
    async def stumble(*_):
        raise RuntimeError("canary")

    monkeypatch.setattr("broker.minting.attempt.Asking._post", stumble)
    response = await asked_for_a_token(spans)
    assert response.status_code == 500
    attempt = spans.one("mint.attempt")
    assert (attempt.attributes["error.type"], attempt.status.description) == ("RuntimeError", None)
    assert "canary" not in spans.text()


async def test_what_is_not_sampled_leaves_no_span_and_still_has_its_trace_id(spans, azure):
    response = await asked_for_a_token(spans, traces_ratio=0)
    assert response.headers["x-trace-id"] == TRACE
    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize(("flags", "ratio", "kept"), [("01", 0, False), ("00", 1, True)])
async def test_a_caller_cannot_decide_what_is_sampled(spans, azure, flags, ratio, kept):
    headers = {"traceparent": f"00-{TRACE}-{PAGE}-{flags}"}
    await asked_for_a_token(spans, headers, traces_ratio=ratio)
    assert bool(spans.get_finished_spans()) is kept


async def test_an_exporter_that_raises_harms_nobody(azure, capfd):
    configure_logging("INFO")
    response = await asked_for_a_token(RaisingExporter())
    assert response.status_code == 200
    assert "canary" not in capfd.readouterr().err


async def test_an_exporter_that_hangs_holds_up_no_request_and_the_end_only_for_a_while(azure):
    exporter = HangingExporter()
    tracing = Tracing("broker", lambda _: exporter, flush_s=0.05)
    began = time.monotonic()
    async with tracing.opened():
        for _ in range(2_000):
            with tracing.span("mint"):
                pass
    assert time.monotonic() - began < 5
    exporter.released.set()


async def test_while_an_exporter_hangs_callers_get_their_tokens(azure):
    exporter = HangingExporter()
    async with traced(exporter) as broker:
        for _ in range(200):  # more spans than are exported at once
            assert (await broker.post("/realtime/token", json={})).status_code == 200
        assert exporter.is_asked.is_set()
        exporter.released.set()


async def test_all_spans_are_exported_before_the_service_has_ended(spans, azure):
    async with traced(spans) as broker:
        await broker.post("/realtime/token", json={})
    assert spans.named("POST /realtime/token")


async def test_without_traces_there_is_no_span_and_nothing_is_sent_on(azure):
    tracing = Tracing()
    async with tracing.opened():
        with tracing.span("mint") as span:
            assert not span.is_recording()
            assert current_traceparent() is None


@pytest.mark.parametrize("rubbish", [None, "", "canary", f"00-{'0' * 32}-{PAGE}-01", f"01-{TRACE}-{PAGE}-01"])
def test_a_traceparent_that_is_none_names_no_span(rubbish):
    assert span_context_of(rubbish) is None


@pytest.fixture
def insights(monkeypatch):
    """Application Insights on this machine: its connection string, and what it is sent."""
    for own_telemetry in ("STATSBEAT_DISABLED_ALL", "CONTROLPLANE_DISABLED", "SDKSTATS_DISABLED"):
        monkeypatch.setenv(f"APPLICATIONINSIGHTS_{own_telemetry}", "true")
    with http_server(Insights) as server:
        server.sent = []
        address = f"http://127.0.0.1:{server.server_port}/"
        yield f"{INSIGHTS};IngestionEndpoint={address}", server.sent


class Insights(BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.sent.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@contextmanager
def http_server(responder):
    with ThreadingHTTPServer(("127.0.0.1", 0), responder) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield server
        server.shutdown()
        serving.join(5)


async def test_application_insights_is_sent_the_request_and_its_attempts(insights, azure):
    pytest.importorskip("azure.monitor.opentelemetry.exporter")
    connection, sent = insights
    chosen = settings(traces="azure-monitor", applicationinsights_connection_string=connection)
    async with running(create_app(chosen, probing=False)) as broker:
        assert (await broker.post("/realtime/token", json={}, headers=HEADERS)).status_code == 200
    items = [item for body in sent for item in json.loads(body)]
    named = {item["data"]["baseData"].get("name"): item["tags"].get("ai.operation.id") for item in items}
    assert named["POST /realtime/token"] == named["mint.attempt"] == TRACE
    assert {item["tags"]["ai.cloud.role"] for item in items} == {"broker"}


def test_application_insights_needs_its_connection_string_and_a_wrong_one_is_not_quoted():
    with pytest.raises(ValueError, match="required with TRACES=azure-monitor"):
        settings(traces="azure-monitor")
    with pytest.raises(ValueError, match="as Azure shows it") as caught:
        settings(traces="azure-monitor", applicationinsights_connection_string="canary")
    assert "canary" not in str(caught.value)
    assert INSIGHTS not in repr(
        settings(traces="azure-monitor", applicationinsights_connection_string=INSIGHTS)
    )


def test_a_missing_extra_is_a_clear_refusal_at_start(monkeypatch):
    def missing(_name):
        raise ModuleNotFoundError

    monkeypatch.setattr(broker.edge.settings, "find_spec", missing)
    with pytest.raises(ValueError, match=r"pip install 'voicelive\[azure-monitor\]'"):
        settings(traces="azure-monitor", applicationinsights_connection_string=INSIGHTS)
