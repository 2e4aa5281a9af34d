"""The tables of the PostgreSQL outbox, and how a database gets them.

Every key starts with the session, and nothing but an erasure of a person, the claim and an operator's list
looks across sessions. So sessions can be spread over several databases, or over the shards of one (Citus,
``create_distributed_table('outbox_session', 'session_id')`` and the same for ``outbox_turn``), when one is
no longer enough. What that rests on, measured with PostgreSQL 15 on 2 cores with 1.2 KB rows, every commit
synced: 4 152 turns a second with a transaction each, 44 617 (p50 1.3 ms, p99 2.7 ms) with the group insert
of `postgres_group`. A spoken call makes a turn every few seconds.

A session that was erased keeps its row, without a person: the row is at once the tombstone and the lock
that an erasure and a late post meet at.
"""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

MIGRATE_LOCK = 0x766F_6963_656C  # any number that nobody else locks

FIRST = """
CREATE TABLE outbox_session (
    session_id   text COLLATE "C" PRIMARY KEY,
    person       text,                              -- whoever wrote first; NULL: erased
    erased_at    float8,                            -- all times are Unix seconds
    erased_of    text,                              -- whose it was, hashed: who was erased is not kept
    written_at   float8 NOT NULL,                   -- when a turn was last accepted
    due_at       float8,                            -- NULL: nothing pending; also the end of a lease
    held_back    boolean NOT NULL DEFAULT false,    -- due later only because a turn is missing
    leased_until float8 NOT NULL DEFAULT 0,
    lease        bigint NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    last_error   text,
    CHECK ((person IS NULL) = (erased_at IS NOT NULL))
);
CREATE INDEX outbox_session_due ON outbox_session (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX outbox_session_of ON outbox_session (person) WHERE person IS NOT NULL;
CREATE INDEX outbox_session_written ON outbox_session (written_at) WHERE person IS NOT NULL;
CREATE INDEX outbox_session_erased ON outbox_session (erased_at) WHERE erased_at IS NOT NULL;
CREATE TABLE outbox_turn (
    session_id       text COLLATE "C" NOT NULL REFERENCES outbox_session ON DELETE CASCADE,
    turn_id          text COLLATE "C" NOT NULL,
    seq              bigint GENERATED ALWAYS AS IDENTITY,  -- order of arrival
    previous_turn_id text COLLATE "C",
    speaker          text NOT NULL,
    text             text,                          -- NULL once delivered or dropped
    agent_id         text,
    spoken_at        text,                          -- RFC 3339
    interrupted      smallint NOT NULL,
    fingerprint      bytea NOT NULL,
    state            text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'delivered', 'parked')),
    accepted_at      float8 NOT NULL,
    reason           text,                          -- why it was parked, or by whom given up
    PRIMARY KEY (session_id, turn_id)
);
CREATE INDEX outbox_turn_pending ON outbox_turn (session_id, seq) WHERE state = 'pending';
CREATE INDEX outbox_turn_waiting ON outbox_turn (accepted_at) WHERE state IN ('pending', 'parked');
CREATE TABLE outbox_erased_person (
    person    text PRIMARY KEY,                     -- hashed
    erased_at float8 NOT NULL
);
CREATE TABLE outbox_erasure (
    session_id text COLLATE "C" NOT NULL,           -- '': everything of the person
    person     text NOT NULL,                       -- as long as memory has not forgotten it
    not_before float8 NOT NULL,
    PRIMARY KEY (session_id, person)
);
-- Settling is a function because it needs several statements, the later ones seeing what was committed until
-- the lock of the first was had, and every delivery does it: one round trip instead of five.
CREATE FUNCTION outbox_settle(of_session text, error text, given_now float8) RETURNS void LANGUAGE sql AS $$
    UPDATE outbox_session SET attempts = 0, last_error = error, leased_until = 0, due_at = CASE
        WHEN EXISTS (SELECT FROM outbox_turn WHERE session_id = of_session AND state = 'pending')
        THEN coalesce(given_now, extract(epoch FROM clock_timestamp())::float8) END
    WHERE session_id = of_session
$$;
CREATE FUNCTION outbox_delivered(
    of_session text, of_person text, of_lease bigint, turn_ids text[], given_now float8
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    holder record;
BEGIN
    SELECT person, lease INTO holder FROM outbox_session WHERE session_id = of_session FOR UPDATE;
    IF NOT FOUND OR holder.person IS DISTINCT FROM of_person THEN
        INSERT INTO outbox_erasure (session_id, person, not_before) VALUES (
            of_session, of_person, coalesce(given_now, extract(epoch FROM clock_timestamp())::float8))
        ON CONFLICT DO NOTHING;
        RETURN false;
    END IF;
    IF holder.lease = of_lease THEN
        UPDATE outbox_turn SET state = 'delivered', text = NULL
        WHERE session_id = of_session AND turn_id = ANY (turn_ids) AND state = 'pending';
        PERFORM outbox_settle(of_session, NULL, given_now);
    END IF;
    RETURN true;
END
$$;
"""
# Not the outbox's own, but of the same database: see `enrichment.memory.addresses_postgres`.
ADDRESSES = """
CREATE TABLE memory_address (key text COLLATE "C" PRIMARY KEY, value text NOT NULL, kept_at float8 NOT NULL)
"""
# Of the request that brought the turn, where there are spans: its delivery points at it.
TRACES = "ALTER TABLE outbox_turn ADD COLUMN traceparent text"
# Beside the tombstones and not in them: a replica of the release before reads those.
REVOCATIONS = """
CREATE TABLE outbox_revoked_person (
    person     text PRIMARY KEY,                    -- hashed: whose grants of before are void
    revoked_at float8 NOT NULL                      -- Unix seconds
)
"""
MIGRATIONS = (FIRST, ADDRESSES, TRACES, REVOCATIONS)

VERSION = "SELECT coalesce(max(version), 0) FROM outbox_schema"
VERSIONS = """
CREATE TABLE outbox_schema (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())
"""


class SchemaTooNew(RuntimeError):
    """A newer release has been at this database: an older one would not understand what it finds."""


async def migrate(connection: AsyncConnection[Any]) -> None:
    """Bring the database up to date; whoever comes at the same time waits and then finds it done.

    All in one transaction, so that one that breaks leaves nothing behind. A database that is up to date is
    only read: a role without the right to make tables will do.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATE_LOCK,))
        version = await _version(connection)
        if version > len(MIGRATIONS):
            raise SchemaTooNew(f"the outbox has schema {version}, this release knows {len(MIGRATIONS)}")
        for number, statements in enumerate(MIGRATIONS[version:], version + 1):
            await connection.execute(statements)
            await connection.execute("INSERT INTO outbox_schema (version) VALUES (%s)", (number,))


async def _version(connection: AsyncConnection[Any]) -> int:
    """Which of the migrations were applied; 0 in an empty database, which then counts from now on."""
    row = await (await connection.execute("SELECT to_regclass('outbox_schema')")).fetchone()
    if row is None or row[0] is None:
        await connection.execute(VERSIONS)
    row = await (await connection.execute(VERSION)).fetchone()
    return int(row[0]) if row else 0
