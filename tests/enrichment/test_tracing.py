"""Spans of enrichment: what was accepted, and the delivery that points back at it, without a word of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import apsw
import psycopg
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from enrichment.app import create_app
from enrichment.memory.port import Rejected, Unreachable
from enrichment.outbox.port import StorageFailed
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import FakeMemory, settings, turn
from tests.enrichment.service import CLOCK, JWKS, grant, said
from tests.running import running
from tests.spans import Spans
from tests.waiting import until

TRACE, CALL, PAGE = "a" * 32, "c" * 32, "d" * 16
HEADERS = {"traceparent": f"00-{TRACE}-{'b' * 16}-01"}
BROUGHT_BY = f"00-{TRACE}-{PAGE}-01"


@pytest.fixture
def spans():
    return Spans()


async def posted(tmp_path, spans, *posts, memory=None, headers=HEADERS):
    """The answers to posts, once memory has what they brought and the service has ended."""
    memory = memory or FakeMemory()
    chosen = settings(tmp_path, grant_jwks_url=JWKS)
    app = create_app(chosen, memory=lambda _: memory, now=CLOCK, exporter=spans)
    async with running(app) as client:
        answers = [await client.post("/memory/enrich", json=post, headers=headers) for post in posts]
        await until(lambda: settled(client))
    return answers


async def settled(client):
    return (await client.get("/status")).json()["pending"] == 0


def post(*turn_ids, **more):
    return {"grant": grant(), "turns": [said(turn_id) for turn_id in turn_ids]} | more


async def test_accepting_is_a_span_of_the_request_with_its_session_and_its_trace_id(tmp_path, keys, spans):
    (answer,) = await posted(tmp_path, spans, post("u1", "u2"))

    request, accept = spans.one("POST /memory/enrich"), spans.one("turns.accept")
    assert answer.headers["x-trace-id"] == f"{request.context.trace_id:032x}" == TRACE
    assert accept.parent.span_id == request.context.span_id
    assert dict(accept.attributes) == {
        "engram.session_id": "s-1",
        "turns.accepted": 2,
        "turns.duplicate": 0,
    }


async def test_a_delivery_is_a_trace_of_its_own_that_points_at_what_accepted_it(tmp_path, keys, spans):
    await posted(tmp_path, spans, post("u1"))

    accept, deliver = spans.one("turns.accept"), spans.one("turns.deliver")
    assert deliver.parent is None
    assert deliver.context.trace_id != accept.context.trace_id
    assert [link.context.span_id for link in deliver.links] == [accept.context.span_id]
    assert [f"{link.context.trace_id:032x}" for link in deliver.links] == [TRACE]
    assert deliver.kind is SpanKind.CONSUMER
    assert deliver.attributes["engram.session_id"] == "s-1"
    assert deliver.attributes["delivery.outcome"] == "delivered"


async def test_accepting_points_at_the_call_that_a_beacon_names_in_its_body(tmp_path, keys, spans):
    await posted(tmp_path, spans, post("u1", traceparent=f"00-{CALL}-{PAGE}-01"))
    (link,) = spans.one("turns.accept").links
    assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == (CALL, PAGE)


@pytest.mark.parametrize("rubbish", ["canary", 7, {"a": 1}, f"00-{'0' * 32}-{PAGE}-01"])
async def test_a_traceparent_that_is_none_is_pointed_at_by_nobody(tmp_path, keys, spans, rubbish):
    await posted(tmp_path, spans, post("u1", traceparent=rubbish))
    assert not spans.one("turns.accept").links
    assert "canary" not in spans.text()


async def test_a_delivery_that_failed_is_seen_and_so_is_the_one_that_did_not(tmp_path, keys, spans):
    await posted(tmp_path, spans, post("u1"), memory=FakeMemory(Unreachable("canary", retry_after_s=0)))
    first, second = sorted(spans.named("turns.deliver"), key=lambda span: span.start_time)
    assert (first.attributes["delivery.outcome"], first.attributes["error.type"]) == (
        "postponed",
        "Unreachable",
    )
    assert first.status.status_code is StatusCode.ERROR
    assert second.attributes["delivery.outcome"] == "delivered"
    assert [link.context for link in first.links] == [link.context for link in second.links]
    assert "canary" not in spans.text()


@pytest.mark.parametrize("fault", [Rejected("u0", "canary"), RuntimeError("canary"), TimeoutError("canary")])
async def test_no_span_holds_a_word_of_the_transcript_a_grant_or_a_person(tmp_path, keys, spans, fault):
    bearer = grant(person="canary-person")
    turns = [said("u1", "canary text", agent_id="elena"), {"turn_id": "canary", "speaker": "system"}]
    memory = FakeMemory(fault)
    chosen = settings(tmp_path, grant_jwks_url=JWKS)
    app = create_app(chosen, memory=lambda _: memory, now=CLOCK, exporter=spans)
    async with running(app) as client:
        body = {"grant": bearer, "turns": turns}
        headers = {"Cookie": "canary", "User-Agent": "canary"}
        assert (await client.post("/memory/enrich", json=body, headers=headers)).status_code == 202
        assert (await client.get("/memory/episodes/canary", headers=headers)).status_code == 404
        assert (await client.post("/memory/search?q=canary", json={"query": "canary"})).status_code == 200

        async def has_failed():
            return not memory.faults

        await until(has_failed)
    assert spans.named("turns.deliver")
    assert "GET /memory/episodes/{session_id}" in {span.name for span in spans.get_finished_spans()}
    assert not [word for word in ("canary", bearer, "eyJ") if word in spans.text()]


async def test_what_cannot_be_stored_is_a_span_that_says_so(tmp_path, keys, spans, monkeypatch):
    async def full(*_args, **_more):
        raise StorageFailed("canary")

    monkeypatch.setattr(SqliteOutbox, "accept", full)
    app = create_app(settings(tmp_path, grant_jwks_url=JWKS), now=CLOCK, exporter=spans)
    async with running(app) as client:
        assert (await client.post("/memory/enrich", json=post("u1"))).status_code == 503
    accept = spans.one("turns.accept")
    assert (accept.attributes["error.type"], accept.status.status_code) == ("StorageFailed", StatusCode.ERROR)
    assert spans.one("POST /memory/enrich").status.status_code is StatusCode.ERROR
    assert "canary" not in spans.text()


async def test_an_outbox_gives_each_turn_back_with_the_request_that_brought_it(each_outbox):
    first, second = turn("u1"), replace(turn("u2"), traceparent=BROUGHT_BY)
    await each_outbox.accept("p", "s", [first, second])
    claim = await each_outbox.claim()
    assert [each.traceparent for each in claim.turns] == [None, BROUGHT_BY]


async def test_turns_that_were_accepted_before_there_were_spans_are_delivered_too(tmp_path, keys, spans):
    outbox = SqliteOutbox(tmp_path / "outbox.db", now=CLOCK)
    await outbox.accept("alice", "s-1", [turn("u0")])
    await outbox.close()
    memory = FakeMemory()
    app = create_app(
        settings(tmp_path, grant_jwks_url=JWKS), memory=lambda _: memory, now=CLOCK, exporter=spans
    )
    async with running(app) as client:
        await until(lambda: settled(client))
    assert memory.ids("s-1", "alice") == ["u0"]
    assert not spans.one("turns.deliver").links


async def test_a_file_of_the_version_before_keeps_its_turns_and_takes_traced_ones(tmp_path):
    path = tmp_path / "outbox.db"
    before = SqliteOutbox(path, now=CLOCK)
    await before.accept("p", "s", [turn("u1")])
    await before.close()
    with closing(apsw.Connection(str(path))) as db:  # as the release before there were spans left it
        db.execute("ALTER TABLE turn DROP COLUMN traceparent; DROP TABLE revocation; PRAGMA user_version = 1")
    outbox = SqliteOutbox(path, now=CLOCK)
    await outbox.accept("p", "s", [replace(turn("u2"), traceparent=BROUGHT_BY)])
    claim = await outbox.claim()
    await outbox.close()
    assert [each.traceparent for each in claim.turns] == [None, BROUGHT_BY]


async def test_a_database_of_the_version_before_keeps_its_turns_and_takes_traced_ones(database, replicas):
    outbox = await replicas()
    await outbox.accept("p", "s", [turn("u1")])
    with psycopg.connect(database) as db:  # as the release before there were spans left it
        db.execute("ALTER TABLE outbox_turn DROP COLUMN traceparent; DROP TABLE outbox_revoked_person")
        db.execute("DELETE FROM outbox_schema WHERE version >= 3")
    outbox = await replicas()
    await outbox.accept("p", "s", [replace(turn("u2"), traceparent=BROUGHT_BY)])
    claim = await outbox.claim()
    assert [each.traceparent for each in claim.turns] == [None, BROUGHT_BY]
