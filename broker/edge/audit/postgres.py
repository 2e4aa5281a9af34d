"""The audit in PostgreSQL: one row a line, in a table that refuses to be changed.

The owner of the table could still change it; the seals and the anchors tell.
"""

from __future__ import annotations

import select
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection

from broker.edge.audit.port import SinkFailed
from broker.edge.audit.sealing import Head, Line

MIGRATE_LOCK = 0x6175_6469_74  # any number that nobody else locks

FIRST = """
CREATE TABLE audit_line (
    chain text COLLATE "C" NOT NULL,
    n     bigint NOT NULL,
    hash  text NOT NULL,
    line  text NOT NULL,        -- as it was sealed, to the byte; line::jsonb to look into it
    PRIMARY KEY (chain, n)
);
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is only ever added to';
END
$$;
CREATE TRIGGER audit_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_line
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""
MIGRATIONS = (FIRST,)

VERSION = "SELECT coalesce(max(version), 0) FROM audit_schema"
VERSIONS = """
CREATE TABLE audit_schema (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())
"""
ADD = """
INSERT INTO audit_line (chain, n, hash, line)
SELECT %(chain)s, * FROM unnest(%(ns)s::bigint[], %(hashes)s::text[], %(lines)s::text[])
"""
LAST = "SELECT n, hash FROM audit_line WHERE chain = %s ORDER BY n DESC LIMIT 1"
ALL = "SELECT chain, line FROM audit_line ORDER BY chain, n"

# A COMMIT that waits for a standby must not be ended by a statement_timeout and called a success, so there is
# none: who waits for the writer has a deadline, and a connection that is cut ends by tcp_user_timeout (ms).
OPTIONS: dict[str, Any] = {
    "autocommit": True,
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
SESSION = "SET lock_timeout = 4000"
DURABLE = frozenset({"on", "remote_apply"})


class PostgresSink:
    """Rows of one chain over one connection, made when it is first needed, and again after a failure."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    def append(self, lines: Sequence[Line]) -> None:
        about = {
            "chain": lines[0].head.chain,
            "ns": [line.head.n for line in lines],
            "hashes": [line.head.hash for line in lines],
            "lines": [line.text.decode() for line in lines],
        }
        try:
            self._connected().execute(ADD, about)
        except psycopg.Error as exc:
            self.close()
            raise SinkFailed(described(exc)) from None

    def recover(self, known: Head) -> Head:
        """The commit that nobody heard of may have been one: then the chain goes on behind it."""
        try:
            row = self._connected().execute(LAST, (known.chain,)).fetchone()
        except psycopg.Error as exc:
            self.close()
            raise SinkFailed(described(exc)) from None
        if row is None or row[0] < known.n:  # gone, and it was there: the gap must show
            return known
        return Head(known.chain, *row)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _connected(self) -> Connection:
        if self._connection is not None and is_gone(self._connection):
            self.close()
        if self._connection is None:
            self._connection = connected(self._url)
        return self._connection


def connected(url: str) -> Connection:
    """A connection that commits to the disk, to a database with our table. Raises `SinkFailed`."""
    connection = psycopg.connect(url, **OPTIONS)
    try:
        prepare(connection)
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def is_gone(connection: Connection) -> bool:
    """Whether the other end has said something unasked: at rest that is its farewell."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def prepare(connection: Connection) -> None:
    """Set what the session needs; refuse one whose commits are not on disk."""
    connection.execute(SESSION)
    row = connection.execute("SHOW synchronous_commit").fetchone()
    if row is None or row[0] not in DURABLE:
        raise SinkFailed("synchronous_commit must be on")


def migrate(connection: Connection) -> None:
    """Bring the database up to date; whoever comes at the same time waits and then finds it done."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATE_LOCK,))
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise SinkFailed(f"the audit has schema {version}, this release knows {len(MIGRATIONS)}")
        for number, statements in enumerate(MIGRATIONS[version:], version + 1):
            connection.execute(statements)
            connection.execute("INSERT INTO audit_schema (version) VALUES (%s)", (number,))


def _version(connection: Connection) -> int:
    row = connection.execute("SELECT to_regclass('audit_schema')").fetchone()
    if row is None or row[0] is None:
        connection.execute(VERSIONS)
    row = connection.execute(VERSION).fetchone()
    return int(row[0]) if row else 0


def stored_lines(url: str) -> Iterator[tuple[str, bytes]]:
    """Every line with the chain it is kept under, in order, without holding them all. Raises `SinkFailed`."""
    try:
        with psycopg.connect(url, **(OPTIONS | {"autocommit": False})) as connection:
            connection.read_only = True
            with connection.cursor(name="audit") as rows:
                rows.itersize = 5_000
                for chain, line in rows.execute(ALL):
                    yield chain, line.encode()
    except psycopg.Error as exc:
        raise SinkFailed(described(exc)) from None


def described(exc: psycopg.Error) -> str:
    """The class of an error and its SQLSTATE, never its text."""
    return f"{type(exc).__name__} {exc.sqlstate}" if exc.sqlstate else type(exc).__name__
