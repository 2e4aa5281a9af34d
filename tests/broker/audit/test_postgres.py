"""The audit in PostgreSQL: added to only, by many replicas, through a server that goes and comes."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from broker.edge.audit.port import AuditFailed, SinkFailed
from broker.edge.audit.postgres import MIGRATIONS, PostgresSink, stored_lines
from broker.edge.audit.sealing import Head
from broker.edge.audit.stored import places_in_rows
from broker.edge.audit.verifying import verify
from tests.broker.audit.build import MINT, SEAL, auditing, sealed
from tests.enrichment.postgres import server


def checked(database, anchors=None):
    return verify(places_in_rows(stored_lines(database)), SEAL, anchors or {}, is_all=True)


def changed(database, statement):
    """As somebody would who owns the table."""
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE audit_line DISABLE TRIGGER ALL")
        assert connection.execute(statement).rowcount == 1


@pytest.fixture
def kept(database):
    """A database with five lines of one chain."""
    sink = PostgresSink(database)
    sink.append(sealed(5))
    sink.close()
    return database


async def test_what_replicas_write_holds_chain_by_chain(database):
    async with (
        auditing(PostgresSink(database), chain="a") as a,
        auditing(PostgresSink(database), chain="b") as b,
    ):
        await asyncio.gather(*(audit.write(MINT, MINT) for audit in (a, b, a, b)))
    findings = checked(database)
    assert (findings.is_whole, findings.chains, findings.lines) == (True, 2, 10)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_line SET n = n", "DELETE FROM audit_line", "TRUNCATE audit_line"]
)
def test_the_table_refuses_to_be_changed(kept, statement):
    with psycopg.connect(kept) as connection, pytest.raises(psycopg.errors.RaiseException):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "kind", "where"),
    [
        ("UPDATE audit_line SET line = replace(line, 'mint', 'lint') WHERE n = 3", "changed", 3),
        ("UPDATE audit_line SET n = 9 WHERE n = 2", "missing", 2),
        ("DELETE FROM audit_line WHERE n = 4", "missing", 4),
        ("DELETE FROM audit_line WHERE n = 5", "cut off", 4),
    ],
)
def test_what_its_owner_does_all_the_same_is_found(kept, statement, kind, where):
    changed(kept, statement)
    (wrong,) = checked(kept, {"c": [sealed(5)[-1].head]}).wrong
    assert (wrong.kind, wrong.where) == (kind, f"chain c, line {where}")


async def test_while_the_server_is_away_nothing_is_kept_and_then_it_goes_on_by_itself():
    with server(synced=False) as running:
        async with auditing(PostgresSink(running.url())) as audit:
            await audit.write(MINT)
            await asyncio.to_thread(running.stop, "immediate")
            for _ in range(2):
                with pytest.raises(AuditFailed, match="OperationalError"):
                    await audit.write(MINT)
            await asyncio.to_thread(running.start)
            await audit.write(MINT)
        findings = checked(running.url())
    assert (findings.is_whole, findings.lines) == (True, 3)


async def test_a_connection_that_was_ended_while_nothing_happened_costs_nobody_anything(database):
    async with auditing(PostgresSink(database)) as audit:
        await audit.write(MINT)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND query LIKE '%audit_line%'"
            )
        await audit.write(MINT)


def test_a_commit_that_nobody_heard_of_is_found_again(kept):
    lines = sealed(5)
    sink = PostgresSink(kept)
    assert sink.recover(lines[2].head) == lines[4].head
    assert sink.recover(Head("other")) == Head("other")
    sink.close()


def test_lines_that_are_gone_are_not_written_over(kept):
    changed(kept, "DELETE FROM audit_line WHERE n = 5")
    sink = PostgresSink(kept)
    assert sink.recover(sealed(5)[-1].head) == sealed(5)[-1].head
    sink.append(sealed(6)[5:])
    sink.close()
    assert checked(kept).wrong[0].kind == "missing"


@pytest.mark.parametrize("given", ["postgresql://tests@/postgres?host=/nowhere", "postgresql://u:canary@["])
def test_what_a_database_says_is_told_without_its_words(given):
    with pytest.raises(SinkFailed) as caught:
        PostgresSink(given).append(sealed(1))
    assert "nowhere" not in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_database_of_a_newer_release_is_refused(kept):
    with psycopg.connect(kept, autocommit=True) as connection:
        connection.execute("INSERT INTO audit_schema (version) VALUES (%s)", (len(MIGRATIONS) + 1,))
    with pytest.raises(SinkFailed, match="this release knows"):
        PostgresSink(kept).append(sealed(1, chain="d"))


def test_a_database_that_does_not_wait_for_its_disk_is_refused(postgres, database):
    url = f"{database}%20-c%20synchronous_commit%3Doff"
    with pytest.raises(SinkFailed, match="synchronous_commit"):
        PostgresSink(url).append(sealed(1))
