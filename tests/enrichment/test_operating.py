"""What operators see, and what no log shows."""

from __future__ import annotations

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from broker.edge.telemetry import configure_logging
from enrichment.database import Database
from enrichment.memory.port import Rejected
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import FakeMemory
from tests.enrichment.service import (
    grant,
    said,
    service,
)
from tests.waiting import until


async def last_error(client):
    return (await client.get("/status")).json()["last_error"]


async def unready(client):
    return (await client.get("/ready")).status_code == 503


async def test_status_tells_what_waits_and_what_is_parked(tmp_path, keys):
    memory = FakeMemory(Rejected("u1", "too long"))
    async with service(tmp_path, memory=memory) as client:
        await client.post("/memory/enrich", json={"grant": grant(), "turns": [said("u1"), said("u2")]})
        async with asyncio.timeout(5):
            await memory.arrived.get()
        assert (await client.get("/status")).json() == {
            "pending": 0,
            "parked": 1,
            "oldest_s": 0.0,
            "delivering": True,
            "memory": "fake",
            "memory_left_alone": False,
            "last_error": "Rejected",
        }


async def test_a_bug_in_a_memory_is_told_and_the_delivery_lives(tmp_path, keys):
    memory = FakeMemory(KeyError("bug"))
    async with service(tmp_path, memory=memory) as client:
        await client.post("/memory/enrich", json={"grant": grant(), "turns": [said("u1")]})
        await until(lambda: last_error(client))
        status = (await client.get("/status")).json()
        assert (status["last_error"], status["delivering"], status["pending"]) == ("KeyError", True, 1)
        assert (await client.get("/ready")).status_code == 200
        await client.post("/memory/enrich", json={"grant": grant(session_id="s-2"), "turns": [said("u2")]})
        async with asyncio.timeout(5):
            assert await memory.arrived.get() == "u2"


async def test_a_bug_is_logged_with_its_route_and_without_what_stood_in_the_path(tmp_path, keys, monkeypatch):
    async def episode(*_asked):
        raise KeyError("bug")

    monkeypatch.setattr(FakeMemory, "episode", episode)
    async with service(tmp_path, memory=FakeMemory()) as client:
        with capture_logs() as logs:
            assert (await client.get("/memory/episodes/canary")).status_code == 500
    assert [entry["path"] for entry in logs if entry["event"] == "bug"] == ["/memory/episodes/{session_id}"]
    assert "canary" not in str([entry for entry in logs if "exc_info" not in entry])


async def test_readiness_fails_when_the_delivery_has_died(tmp_path, keys, monkeypatch, capfd):
    configure_logging("DEBUG")

    async def claim(_outbox):
        await go_wrong.wait()
        raise KeyError("canary bug")

    go_wrong = asyncio.Event()
    monkeypatch.setattr(SqliteOutbox, "claim", claim)
    async with service(tmp_path) as client:
        assert (await client.get("/ready")).status_code == 200
        go_wrong.set()
        await until(lambda: unready(client))
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/status")).json()["delivering"] is False
    logged = "".join(capfd.readouterr())
    assert "delivery.died" in logged
    assert "canary" not in logged


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is killed on purpose
async def test_readiness_fails_when_nobody_is_left_to_store_turns(tmp_path, keys, monkeypatch):
    def die(*_):
        raise SystemExit

    async with service(tmp_path) as client:
        assert (await client.get("/ready")).status_code == 200
        monkeypatch.setattr(Database, "_commit", die)
        response = await client.post("/memory/enrich", json={"grant": grant(), "turns": [said("u1")]})
        assert response.status_code == 503
        await until(lambda: unready(client))
        assert (await client.get("/ready")).json() == {"status": "the outbox has ended"}
        assert (await client.get("/health")).status_code == 200


async def test_one_request_has_one_trace_id_and_the_log_tells_what_it_is_part_of(tmp_path, keys, capfd):
    configure_logging("INFO")
    call, header = "c" * 32, {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    async with service(tmp_path, auth_required=True) as client:
        body = {"traceparent": f"00-{call}-{'d' * 16}-01", "turns": [said("u1")]}
        response = await client.post("/memory/enrich", json=body, headers=header)
    assert response.json()["trace_id"] == response.headers["X-Trace-Id"] == "a" * 32
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines() if "caused_by" in line]
    assert (line["trace_id"], line["client_trace_id"]) == ("a" * 32, call)


@pytest.mark.parametrize("rubbish", ["canary", "00-canary", "", 7, {"a": 1}, None])
async def test_a_traceparent_that_is_none_is_passed_over(tmp_path, keys, capfd, rubbish):
    configure_logging("INFO")
    async with service(tmp_path) as client:
        body = {"grant": grant(), "traceparent": rubbish, "turns": [said("u1")]}
        assert (await client.post("/memory/enrich", json=body)).status_code == 202
    assert "caused_by" not in capfd.readouterr().err


async def test_no_transcript_and_no_grant_is_in_any_log(tmp_path, keys, capfd):
    configure_logging("DEBUG")
    compact = grant()
    memory = FakeMemory(KeyError("canary bug"), Rejected("u1", "reason"))
    async with service(tmp_path, memory=memory) as client:
        body = {"grant": compact, "turns": [said("u1", "a canary sentence"), said("u2", "canary" * 2000)]}
        await client.post("/memory/enrich", json=body)
        await client.post("/memory/enrich", json={"text": ["canary"]})
        await until(lambda: last_error(client))
    logged = "".join(capfd.readouterr())
    assert "turns.accepted" in logged
    assert "memory.broke" in logged
    assert "canary" not in logged
    assert compact not in logged
