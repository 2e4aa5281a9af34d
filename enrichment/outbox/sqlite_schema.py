"""The tables of the embedded outbox, and how a file of an older version becomes one of today's."""

from __future__ import annotations

from enrichment.pseudonym import hashed
from enrichment.turn_rows import DEFINITIONS

TABLES = f"""
CREATE TABLE IF NOT EXISTS session (
    session_id TEXT PRIMARY KEY,
    person     TEXT NOT NULL,
    due_at     REAL,                        -- Unix seconds; NULL: nothing to deliver; also the end of a lease
    lease      INTEGER NOT NULL DEFAULT 0,
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS session_due ON session (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_of ON session (person);
CREATE TABLE IF NOT EXISTS turn (
    seq              INTEGER PRIMARY KEY,   -- order of arrival
    session_id       TEXT NOT NULL REFERENCES session,
    {DEFINITIONS},                          -- text is NULL once delivered
    fingerprint      BLOB NOT NULL,
    state            TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'parked')),
    accepted_at      REAL NOT NULL,         -- Unix seconds
    reason           TEXT,                  -- why it was parked
    UNIQUE (session_id, turn_id)
) STRICT;
CREATE INDEX IF NOT EXISTS turn_pending ON turn (session_id, seq) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS turn_waiting ON turn (accepted_at) WHERE state <> 'delivered';
"""
# Each brings a file of the version before it to its own; the first version is that of TABLES.
STEPS = (
    """
    ALTER TABLE session ADD COLUMN leased_until REAL;   -- Unix seconds; NULL: nobody delivers it
    ALTER TABLE session ADD COLUMN written_at REAL NOT NULL DEFAULT 0;
    UPDATE session SET written_at = unixepoch('subsec');
    CREATE INDEX session_written ON session (written_at);
    CREATE TABLE tombstone (
        key       TEXT PRIMARY KEY,                     -- of a session, or of a person
        person    TEXT NOT NULL,                        -- hashed: who was erased is not kept
        erased_at REAL NOT NULL                         -- Unix seconds
    ) STRICT;
    CREATE TABLE erasure (
        person     TEXT NOT NULL,                       -- as long as memory has not forgotten it
        session_id TEXT NOT NULL,                       -- '': everything of the person
        not_before REAL NOT NULL,                       -- Unix seconds
        PRIMARY KEY (person, session_id)
    ) STRICT;
    """,
    "ALTER TABLE turn ADD COLUMN traceparent TEXT;          -- of the request that brought it, or NULL",
    """
    CREATE TABLE revocation (
        person     TEXT PRIMARY KEY,                    -- hashed: whose grants of before are void
        revoked_at REAL NOT NULL                        -- Unix seconds
    ) STRICT;
    """,
)


def session_key(session_id: str) -> str:
    return f"session:{session_id}"


def person_key(person: str) -> str:
    return f"person:{hashed(person)}"
