"""Grants that were revoked: refused everywhere, for good, and nobody loses what they said."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

import apsw
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from enrichment.outbox.port import Erased, Revoked
from enrichment.outbox.postgres import PostgresOutbox
from enrichment.outbox.postgres_schema import MIGRATIONS
from enrichment.outbox.sqlite import SqliteOutbox
from enrichment.outbox.sqlite_schema import STEPS
from tests.broker.audit.build import told
from tests.clocks import Clock
from tests.enrichment.build import turn
from tests.enrichment.operator import Shell, Terminal, fill, states
from tests.enrichment.outboxes import waiting
from tests.enrichment.service import CLOCK, JWKS, as_bearer, grant, problem, said, service
from tests.on_record import ON_RECORD

# What both engines promise


async def test_a_grant_of_before_is_void_and_one_of_after_is_good(each_outbox, clock):
    await each_outbox.accept("p", "s", [turn("a")], granted_at=int(clock()))
    clock.pass_s(5)
    assert await each_outbox.revoke("p") == clock()
    for granted_at in (clock() - 5, int(clock())):  # also of that very second
        with pytest.raises(Revoked):
            await each_outbox.accept("p", "s", [turn("b")], granted_at=granted_at)
        assert await each_outbox.is_revoked("p", granted_at)
    clock.pass_s(1)
    assert not await each_outbox.is_revoked("p", int(clock()))
    await each_outbox.accept("p", "s", [turn("b")], granted_at=int(clock()))
    assert await waiting(each_outbox) == ["a", "b"]


async def test_nobody_else_s_grants_are_void(each_outbox, clock):
    await each_outbox.revoke("p")
    await each_outbox.accept("other", "s", [turn("a")], granted_at=clock() - 5)
    assert not await each_outbox.is_revoked("other", clock() - 5)


async def test_a_void_grant_makes_no_session_its_person_s(each_outbox, clock):
    await each_outbox.revoke("p")
    with pytest.raises(Revoked):
        await each_outbox.accept("p", "s", [turn("a")], granted_at=clock())
    assert (await each_outbox.accept("other", "s", [turn("a")], granted_at=clock())).accepted == ["a"]


async def test_of_many_posts_at_once_only_those_with_a_void_grant_are_refused(each_outbox, clock):
    await each_outbox.revoke("p")
    posts = [
        each_outbox.accept(person, f"{person}-{granted}", [turn("a")], granted_at=clock() + granted)
        for person in "pq"
        for granted in (-1, 0, 1)
    ]
    outcomes = await asyncio.gather(*posts, return_exceptions=True)
    assert [isinstance(each, Revoked) for each in outcomes] == [True, True, False, False, False, False]


async def test_without_a_grant_there_is_none_to_be_void(each_outbox):
    await each_outbox.revoke("p")
    assert (await each_outbox.accept("p", "s", [turn("a")])).accepted == ["a"]


async def test_what_was_erased_comes_not_back_with_a_new_grant(each_outbox, clock):
    """410 is for good; after a mere 401 the page would ask for another grant and post it all again."""
    await each_outbox.erase_person("p")
    clock.pass_s(5)
    await each_outbox.revoke("p")
    with pytest.raises(Erased):
        await each_outbox.accept("p", "elsewhere", [turn("late")], granted_at=clock() - 5)
    with pytest.raises(Revoked):
        await each_outbox.accept("p", "new", [turn("a")], granted_at=clock() - 4)


async def test_with_a_void_grant_nobody_learns_what_became_of_a_session(each_outbox, clock):
    await each_outbox.erase_session("p", "erased")
    await each_outbox.accept("other", "foreign", [turn("a")])
    await each_outbox.revoke("p")
    for session_id in ("erased", "foreign", "new"):
        with pytest.raises(Revoked):
            await each_outbox.accept("p", session_id, [turn("a")], granted_at=clock())


async def test_a_clock_that_went_back_makes_no_void_grant_good_again(each_outbox, clock):
    revoked_at = await each_outbox.revoke("p")
    clock.pass_s(-60)
    assert await each_outbox.revoke("p") == revoked_at
    assert await each_outbox.is_revoked("p", revoked_at)


async def test_a_revocation_is_forgotten_when_no_grant_of_its_time_can_be_left(each_outbox, clock):
    await each_outbox.revoke("p")
    clock.pass_s(10)
    await each_outbox.revoke("q")
    assert await each_outbox.expire_tombstones(5) == 0  # a revocation is none
    assert not await each_outbox.is_revoked("p", clock() - 10)
    assert await each_outbox.is_revoked("q", clock())


# Each engine alone


async def test_a_file_remembers_it_and_names_nobody(tmp_path, clock):
    for is_first in (True, False):
        outbox = SqliteOutbox(tmp_path / "outbox.db", now=clock)
        if is_first:
            await outbox.revoke("tid:alice")
        assert await outbox.is_revoked("tid:alice", clock())
        await outbox.close()
    assert b"alice" not in (tmp_path / "outbox.db").read_bytes()


async def test_every_replica_knows_at_once(replicas, database, clock):
    one, other = await replicas(), await replicas()
    await one.revoke("tid:alice")
    with pytest.raises(Revoked):
        await other.accept("tid:alice", "s", [turn("a")], granted_at=clock())
    assert await other.is_revoked("tid:alice", clock())
    with psycopg.connect(database) as db:
        assert "alice" not in str(db.execute("SELECT * FROM outbox_revoked_person").fetchall())


async def test_files_and_databases_of_the_version_before_keep_their_turns_and_can_revoke(
    tmp_path, replicas, database, clock
):
    path = tmp_path / "outbox.db"
    for before in (SqliteOutbox(path, now=clock), await replicas()):
        await before.accept("p", "s", [turn("a")], granted_at=clock())
        await before.close()
    with closing(apsw.Connection(str(path))) as db:  # as the release before left them
        db.execute(f"DROP TABLE revocation; PRAGMA user_version = {len(STEPS) - 1}")
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE outbox_revoked_person")
        connection.execute("DELETE FROM outbox_schema WHERE version = %s", (len(MIGRATIONS),))
    for outbox in (SqliteOutbox(path, now=clock), await replicas()):
        await outbox.revoke("p")
        with pytest.raises(Revoked):
            await outbox.accept("p", "s", [turn("b")], granted_at=clock())
        assert await waiting(outbox) == ["a"]
        await outbox.close()


# Over HTTP, and at a shell


@pytest.fixture
def shell(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for name, value in (ON_RECORD | {"audit_url": f"file:{tmp_path}/audit"}).items():
        monkeypatch.setenv(name.upper(), str(value))
    return Shell(tmp_path, monkeypatch, capfd)


async def test_a_page_whose_grant_was_revoked_gets_401_and_with_a_new_one_goes_on(tmp_path, respx_mock):
    """Also over restarts of the service."""
    clock = Clock(CLOCK() - 10)
    signer = GrantSigner(Ed25519PrivateKey.generate(), environment="development", now=clock)
    respx_mock.get(JWKS).respond(200, json=signer.jwks())
    old = grant("dev:alice", signer=signer)

    async def post(compact, turn_id):
        async with service(tmp_path, auth_required=True, auth_dev_tokens=True) as client:
            body = {"grant": compact, "session_id": "s-1", "turns": [said(turn_id)]}
            posted = await client.post("/memory/enrich", json=body)
            read = await client.get("/memory/context?session_id=s-1", headers=as_bearer(compact))
            return posted, read

    posted, read = await post(old, "u1")
    assert (posted.status_code, read.status_code) == (202, 200)

    outbox = SqliteOutbox(tmp_path / "outbox.db", now=clock)
    await outbox.revoke("dev:alice")
    await outbox.close()
    for refused in await post(old, "u2"):
        assert problem(refused, 401, "not-signed-in")["detail"] == "the grant was revoked: ask for another"

    clock.pass_s(1)
    posted, read = await post(grant("dev:alice", signer=signer), "u2")
    assert (posted.json()["accepted"], read.status_code) == (["u2"], 200)


def test_a_revocation_is_on_record_before_and_after_and_names_nobody(shell):
    fill(shell.data)
    read = shell("revoke alice --yes --json")
    assert (read.code, '"revoked": true' in read.out) == (0, True)
    _, intent, result = told(shell.data / "audit")
    assert (intent["action"], intent["decision"], intent["proof"]) == ("grant.revoke", "intent", "shell")
    assert (result["decision"], result["of"]) == ("done", intent["n"])
    assert "alice" not in str([intent, result])
    assert states(shell.data) == {"u1": "delivered", "u2": "parked", "u3": "pending"}


def test_what_cannot_be_put_on_record_is_not_revoked(shell):
    fill(shell.data)
    (shell.data / "audit").write_text("a file is in its place")
    assert shell("revoke alice --yes").code == 75
    assert not asyncio.run(revoked(shell.data))


async def revoked(data):
    outbox = SqliteOutbox(data / "outbox.db")
    try:
        return await outbox.is_revoked("alice", 0)
    finally:
        await outbox.close()


def test_nobody_s_grants_are_revoked_without_a_yes(shell):
    fill(shell.data)
    assert shell("revoke alice").code == 2
    assert shell("revoke alice", typing=Terminal("no")).code == 1
    assert not asyncio.run(revoked(shell.data))
    assert shell("revoke alice", typing=Terminal("y")).code == 0
    assert asyncio.run(revoked(shell.data))


def test_beside_replicas_an_operator_s_word_counts_at_once(shell, database, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", database)

    async def accepted(granted_at):
        replica = PostgresOutbox(database)
        await replica.open()
        try:
            await replica.accept("alice", "s", [turn("a")], granted_at=granted_at)
        finally:
            await replica.close()

    began = time.time()
    asyncio.run(accepted(began))
    assert shell("revoke alice --yes").code == 0
    with pytest.raises(Revoked):
        asyncio.run(accepted(began))
    asyncio.run(accepted(time.time() + 5))
