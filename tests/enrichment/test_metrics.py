"""What enrichment counts, and what is never in it."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest

from broker.edge.audit.recording import Audit
from broker.edge.telemetry import configure_logging
from enrichment.app import create_app
from enrichment.memory.port import Rejected, Unreachable
from enrichment.metrics import CountedTransport, looked_up
from enrichment.outbox.port import StorageFailed
from enrichment.outbox.postgres import PostgresOutbox
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import DownMemory, FakeMemory, settings
from tests.enrichment.service import CLOCK, JWKS, as_person, grant, problem, said, service
from tests.running import running
from tests.scraping import routes_of, scraped, value
from tests.waiting import until

HTTP = "http_server_request_duration_seconds_count"
TOKEN = "a-scraper-s-token-0123456789"


def turns(samples, result):
    return value(samples, "engram_enrich_turns_total", result=result)


async def post(client, *posted, **whose):
    return await client.post("/memory/enrich", json={"grant": grant(**whose), "turns": list(posted)})


async def test_turns_are_counted_by_what_became_of_them(tmp_path, keys):
    async with service(tmp_path, memory=DownMemory()) as client:
        before = await scraped(client)
        assert {turns(before, result) for result in ("accepted", "duplicate", "conflicting", "rejected")} == {
            0
        }
        await post(client, said("u1"), said("u2"))
        await post(client, said("u1"), said("u2", "something else"), said("u3"), said("u4", ""))
        samples = await scraped(client)
    counted = [turns(samples, result) for result in ("accepted", "duplicate", "conflicting", "rejected")]
    assert counted == [3, 1, 1, 1]
    assert value(samples, "engram_enrich_commit_duration_seconds_count") == 2
    assert value(samples, HTTP, route="/memory/enrich", method="POST", status="202") == 2


async def test_turns_that_could_not_be_kept_and_those_of_others_are_counted_apart(
    tmp_path, keys, monkeypatch
):
    async with service(tmp_path, memory=FakeMemory()) as client:
        await post(client, said("u1"))
        problem(await post(client, said("u2"), person="mallory"), 403, "not-allowed")

        async def full(*_post, **_more):
            raise StorageFailed("the disk is full")

        monkeypatch.setattr(SqliteOutbox, "accept", full)
        problem(await post(client, said("u3"), said("u4")), 503, "storage-failed")
        samples = await scraped(client)
    assert [turns(samples, result) for result in ("accepted", "rejected", "failed")] == [1, 1, 2]
    assert value(samples, "engram_enrich_commit_duration_seconds_count") == 1
    assert value(samples, "engram_auth_failures_total", reason="not-allowed") == 1


async def test_what_waits_is_looked_up_at_each_scrape(tmp_path, keys):
    memory = FakeMemory(Rejected("u1", "too long"), Unreachable("down", retry_after_s=300.0))
    async with service(tmp_path, memory=memory) as client:
        await post(client, said("u1"), said("u2"))

        async def waiting():
            samples = await scraped(client)
            return samples if value(samples, "engram_outbox_depth", state="parked") == 1 else None

        await until(waiting)
        CLOCK.pass_s(12)
        samples = await scraped(client)
    assert value(samples, "engram_outbox_depth", state="pending") == 1
    assert value(samples, "engram_outbox_oldest_age_seconds") == pytest.approx(12, abs=1)
    assert value(samples, "engram_dlq_size") == 1


async def test_how_long_a_turn_took_into_memory_is_measured(tmp_path, keys):
    memory = FakeMemory()
    async with service(tmp_path, memory=memory) as client:
        await post(client, said("u1"))
        async with asyncio.timeout(5):
            await memory.arrived.get()

        async def counted():
            samples = await scraped(client)
            return samples if value(samples, "engram_zep_delivery_lag_seconds_count") else None

        samples = await until(counted)
    assert value(samples, "engram_zep_delivery_lag_seconds_sum") < 5


async def test_what_zep_is_asked_is_counted_by_how_it_ended():
    outcomes: list[str] = []

    async def answer(request):
        name = request.url.path.strip("/")
        if name.isdecimal():
            return httpx.Response(int(name))
        raise {"slow": httpx.ReadTimeout, "gone": httpx.ConnectError, "stop": asyncio.CancelledError}[name](
            ""
        )

    transport = CountedTransport(httpx.MockTransport(answer), outcomes.append)
    async with httpx.AsyncClient(transport=transport, base_url="http://zep") as zep:
        for path in ("200", "404", "503"):
            await zep.get(f"/{path}")
        for path, error in (("slow", httpx.ReadTimeout), ("gone", httpx.ConnectError)):
            with pytest.raises(error):
                await zep.get(f"/{path}")
        with pytest.raises(asyncio.CancelledError):
            await zep.get("/stop")
    assert outcomes == ["2xx", "4xx", "5xx", "timeout", "unreachable", "cancelled"]


async def test_a_service_with_zep_counts_what_it_asks(tmp_path, keys, respx_mock):
    respx_mock.route(host="zep.example.org").respond(503)
    zep = {"memory_backend": "zep", "zep_api_url": "http://zep.example.org", "zep_api_key": "canary"}
    app = create_app(settings(tmp_path, grant_jwks_url=JWKS, **zep), now=CLOCK)
    async with running(app) as client:
        await post(client, said("u1"))

        async def asked():
            return value(await scraped(client), "engram_zep_requests_total", outcome="5xx")

        assert await until(asked) >= 1


# An outbox that does not answer


class Hanging:
    """An outbox whose database takes requests and answers none."""

    async def depth(self):
        await asyncio.Event().wait()


class Failing:
    async def depth(self):
        raise StorageFailed("the database is away")


@pytest.mark.parametrize(("outbox", "error"), [(Hanging(), "TimeoutError"), (Failing(), "StorageFailed")])
async def test_an_outbox_that_does_not_answer_is_left_out_and_the_log_says_so(
    outbox, error, capfd, monkeypatch
):
    monkeypatch.setattr("enrichment.metrics.DEPTH_S", 0.05)
    configure_logging("INFO")
    began = time.monotonic()
    names = [family.name for family in await looked_up(outbox, Audit())]
    assert time.monotonic() - began < 1
    assert names == ["engram_audit_write_failures"]
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["event"], line["error"]) == ("metrics.incomplete", error)


async def test_a_scrape_does_not_hang_when_the_outbox_does(tmp_path, keys, monkeypatch):
    async with service(tmp_path, memory=FakeMemory()) as client:
        monkeypatch.setattr(SqliteOutbox, "depth", Hanging.depth)
        async with asyncio.timeout(3):
            samples = await scraped(client)
    assert turns(samples, "accepted") == 0
    assert not {name for name, _ in samples} & {"engram_outbox_depth", "engram_dlq_size"}


async def test_a_postgresql_that_hangs_is_left_out_in_time(database, clock):
    import psycopg

    outbox = PostgresOutbox(database, now=clock)
    await outbox.open()
    try:
        async with await psycopg.AsyncConnection.connect(database) as other:
            await other.execute("LOCK TABLE outbox_turn IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            families = list(await looked_up(outbox, Audit()))
            assert (len(families), time.monotonic() - began < 2.5) == (1, True)
        assert len(list(await looked_up(outbox, Audit()))) == 4
    finally:
        await outbox.close()


# What is never in them


async def test_no_sample_holds_a_session_a_person_or_anything_that_was_said(tmp_path, keys):
    async with service(tmp_path, auth_required=True, auth_dev_tokens=True) as client:
        await post(
            client, said("canary-turn", "canary-text"), person="canary-user", session_id="canary-session"
        )
        await client.get("/memory/episodes/canary-session", headers=as_person("canary-user"))
        await client.delete("/memory/users/canary-user", headers=as_person("canary-user"))
        await client.get("/memory/context?session_id=canary-session", headers=as_person("canary-user"))
        await client.get("/canary-path")
        text = (await client.get("/metrics")).text
        samples = await scraped(client)
    assert "canary" not in text
    known = {"/memory/enrich", "/memory/episodes/{session_id}", "/memory/users/{person}", "/memory/context"}
    assert routes_of(samples) == known | {"other", "/metrics"}


async def test_a_thousand_unknown_paths_are_one_series(tmp_path, keys):
    async with service(tmp_path, memory=FakeMemory()) as client:
        await client.get("/nowhere")
        before = await scraped(client)
        for number in range(1_000):
            await client.get(f"/memory/{number}")
        after = await scraped(client)
    assert value(after, HTTP, route="other", method="GET", status="404") == 1_001
    assert {dict(labels)["route"] for _, labels in after.keys() - before.keys()} == {"/metrics"}


async def test_with_a_token_they_are_for_whoever_bears_it(tmp_path, keys):
    async with service(tmp_path, memory=FakeMemory(), metrics_token=TOKEN) as client:
        problem(await client.get("/metrics"), 401, "not-signed-in")
        problem(await client.get("/metrics", headers=as_person("bob")), 401, "not-signed-in")
        await scraped(client, {"Authorization": f"Bearer {TOKEN}"})
