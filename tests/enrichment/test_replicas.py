"""The whole service with its outbox in PostgreSQL: several replicas of it, one after the other dying."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from enrichment.outbox.port import StorageFailed
from enrichment.wiring import outbox_of
from tests.enrichment.build import FakeMemory, settings
from tests.enrichment.service import delivered, grant, problem, said, service
from tests.waiting import until


async def test_a_turn_posted_to_one_replica_is_read_back_from_it(tmp_path, keys, database):
    async with service(tmp_path, database_url=database) as client:
        response = await client.post(
            "/memory/enrich", json={"grant": grant(), "turns": [said("u1"), said("u2")]}
        )
        assert (response.status_code, response.json()["accepted"]) == (202, ["u1", "u2"])
        headers = {"Authorization": f"Bearer {grant()}"}
        assert [line["turn_id"] for line in await delivered(client, "s-1", 2, headers)] == ["u1", "u2"]
        assert (await client.get("/ready")).status_code == 200

        async def all_settled():
            return (await client.get("/status")).json()["pending"] == 0

        await until(all_settled)


async def test_what_one_replica_accepted_another_delivers(tmp_path, keys, database):
    """Each turn reaches memory once, whichever of three replicas took it."""
    memory = FakeMemory()
    async with AsyncExitStack() as running:
        replicas = [
            await running.enter_async_context(service(tmp_path / name, memory, database_url=database))
            for name in "abc"
        ]
        for number in range(30):
            body = {"grant": grant(session_id=f"s-{number % 5}"), "turns": [said(f"u{number}")]}
            for replica in (replicas[number % 3], replicas[(number + 1) % 3]):
                assert (await replica.post("/memory/enrich", json=body)).status_code == 202

        async def all_there():
            return sum(len(turns) for turns in memory.kept.values()) == 30

        await until(all_there)
    for number in range(5):
        assert memory.ids(f"s-{number}", "alice") == [f"u{each}" for each in range(number, 30, 5)]


async def test_an_erasure_at_one_replica_refuses_posts_at_another(tmp_path, keys, database):
    mine = grant("poc-user")
    async with (
        service(tmp_path / "a", FakeMemory(), database_url=database) as one,
        service(tmp_path / "b", FakeMemory(), database_url=database) as other,
    ):
        await one.post("/memory/enrich", json={"grant": mine, "turns": [said("u1")]})
        erased = await one.delete("/memory/episodes/s-1")
        assert erased.json()["outbox"] == {"sessions": 1, "turns": 1}
        late = await other.post("/memory/enrich", json={"grant": mine, "turns": [said("u2")]})
        problem(late, 410, "erased")


async def test_without_its_database_no_outbox_is_opened(tmp_path):
    asked = settings(tmp_path, database_url=f"postgresql://somebody:canary@/outbox?host={tmp_path}")
    with pytest.raises(StorageFailed, match=r"^OperationalError$"):
        async with outbox_of(asked, None):
            pass
