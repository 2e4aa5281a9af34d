"""The operators' commands with the outbox in PostgreSQL: they work beside the replicas."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from enrichment.memory.embedded import EmbeddedMemory
from enrichment.outbox.postgres import PostgresOutbox
from tests.enrichment.build import turn
from tests.enrichment.operator import SAID, Shell


async def _fill(database, data):
    """``s-1`` of alice: one delivered, one parked, one pending; ``s-2`` of bob: one pending."""
    outbox, memory = (
        PostgresOutbox(database, now=lambda: time.time() - 7_200),
        EmbeddedMemory(data / "memory.db"),
    )
    await outbox.open()
    await outbox.accept("alice", "s-1", [turn("u1", SAID), turn("u2", SAID)])
    await outbox.park(await outbox.claim(), "u2", reason="too long")
    claim = await outbox.claim()
    await memory.remember("alice", "s-1", claim.turns)
    await outbox.delivered(claim)
    await outbox.accept("alice", "s-1", [turn("u3", SAID, after="u2")])
    await outbox.accept("bob", "s-2", [turn("v1", SAID)])
    await outbox.close()
    await memory.close()


@pytest.fixture
def shell(database, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database)
    asyncio.run(_fill(database, tmp_path))
    return Shell(tmp_path, monkeypatch, capfd)


def states(shell):
    told = json.loads(shell("outbox show s-1 --json").out)
    return {entry["turn_id"]: entry["state"] for entry in told["turns"]}


def test_looking_shows_what_is_there_and_nothing_that_was_said(shell):
    told = json.loads(shell("outbox stats --json").out)
    assert (told["pending"], told["parked"], told["delivered"], told["sessions"]) == (2, 1, 1, 2)
    assert told["oldest_s"] >= 7_200
    assert states(shell) == {"u1": "delivered", "u2": "parked", "u3": "pending"}
    assert "s-2" in shell("outbox ls").out
    assert shell("outbox export").code == 0


def test_verify_finds_nothing_wrong(shell):
    read = shell("verify")
    assert (read.code, "OK" in read.out) == (0, True), read


def test_what_is_parked_is_replayed_or_dropped(shell):
    assert shell("outbox replay s-1 --yes").code == 0
    assert states(shell)["u2"] == "pending"


def test_what_is_dropped_is_not_pending_any_more(shell):
    assert shell("outbox drop s-1 u2 --reason spam --yes").code == 0
    assert states(shell)["u2"] == "delivered"


def test_a_person_is_erased(shell):
    assert shell("erase alice --yes").code == 0
    assert json.loads(shell("outbox stats --json").out)["sessions"] == 1


def test_there_is_no_ballast(shell):
    read = shell("ballast drop")
    assert read.code != 0
    assert "PostgreSQL" in read.err


def test_a_database_that_is_away_is_one_sentence(shell, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://somebody:canary@/outbox?host={tmp_path}")
    read = shell("outbox stats")
    assert read.code != 0
    assert "cannot be used now" in read.err
