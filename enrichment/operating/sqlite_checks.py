"""What must hold inside the files of an embedded outbox and an embedded memory. Reads only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from enrichment.operating.findings import Finding
from enrichment.outbox.sqlite_reader import open_read_only

LONGEST_LEASE_S = 3_600  # a lease lasts half a minute; one of an hour was written by a clock that went wrong
AT_ONCE = 100  # of what is wrong: more names help nobody
DAMAGED = (
    "Stop the service, copy the file with its -wal and -shm, `outbox export` what can be read, then recover "
    "it from the copy (sqlite3 .recover) or from a backup."
)
SQL = "Stop the service, then in sqlite3: "


@dataclass(frozen=True, slots=True)
class Rule:
    """``wrong`` selects the session, or the row, of everything that breaks ``fact``."""

    name: str
    fact: str
    wrong: str
    mend: str


RULES = (
    Rule("foreign-keys", "every turn has its session", "PRAGMA foreign_key_check", DAMAGED),
    Rule(
        "due",
        "every session with pending turns is due some time",
        """SELECT session_id FROM session WHERE due_at IS NULL AND EXISTS (
           SELECT 1 FROM turn WHERE turn.session_id = session.session_id AND state = 'pending')""",
        f"{SQL}UPDATE session SET due_at = 0 WHERE due_at IS NULL AND session_id IN "
        "(SELECT session_id FROM turn WHERE state = 'pending');",
    ),
    Rule(
        "delivered-text",
        "no delivered turn has text",
        "SELECT DISTINCT session_id FROM turn WHERE state = 'delivered' AND text IS NOT NULL",
        f"{SQL}UPDATE turn SET text = NULL WHERE state = 'delivered';",
    ),
    Rule(
        "pending-text",
        "every undelivered turn has text",
        "SELECT DISTINCT session_id FROM turn WHERE state <> 'delivered' AND text IS NULL",
        "These turns are lost. Find out who wrote to the file, and `erase` the session or restore a backup.",
    ),
    Rule(
        "tombstones",
        "nothing is left of an erased session",
        """SELECT session_id FROM session WHERE EXISTS (
           SELECT 1 FROM tombstone WHERE key = 'session:' || session.session_id)""",
        "`erase PERSON --session ID` it once more; `outbox ls` shows whose it is.",
    ),
    Rule(
        "leases",
        "every lease ends soon",
        """SELECT session_id FROM session
           WHERE leased_until IS NOT NULL AND (due_at IS NULL OR leased_until > :latest)""",
        f"{SQL}UPDATE session SET due_at = 0, leased_until = NULL WHERE leased_until IS NOT NULL;",
    ),
)

FORGOTTEN = """
SELECT DISTINCT session_id FROM main.turn AS gone WHERE state = 'delivered' AND reason IS NULL
AND NOT EXISTS (SELECT 1 FROM memory.turn AS kept
                WHERE kept.session_id = gone.session_id AND kept.turn_id = gone.turn_id)
"""


def outbox_findings(db: apsw.Connection) -> Iterator[Finding]:
    """Whether the file is whole, then each rule."""
    yield integrity(db, "integrity", "the outbox's file is whole")
    latest = {"latest": time.time() + LONGEST_LEASE_S}
    for rule in RULES:
        yield _judge(db, rule, latest)


def _judge(db: apsw.Connection, rule: Rule, latest: dict[str, float]) -> Finding:
    try:
        found = [str(row[0]) for row in db.execute(rule.wrong, latest if ":latest" in rule.wrong else None)]
    except apsw.Error as exc:
        return Finding(rule.name, rule.fact, 1, [f"cannot be read: {type(exc).__name__}"], DAMAGED)
    return Finding(rule.name, rule.fact, len(found), found[:AT_ONCE], rule.mend if found else "")


def remembered_finding(db: apsw.Connection, memory: Path) -> Finding:
    """Whether what the outbox let go is in the embedded memory: the promise itself.

    SQLite takes its view of the outbox first, so what is delivered meanwhile is no false alarm.
    """
    fact = "every delivered turn is in memory"
    mend = "Right only where memory was kept elsewhere before; else restore the memory's file from a backup."
    rule = Rule("remembered", fact, FORGOTTEN, mend)
    try:
        db.execute("ATTACH ? AS memory", (str(memory),))  # inherits that nothing can be written
    except apsw.Error as exc:
        return Finding(rule.name, fact, 1, [type(exc).__name__], DAMAGED)
    return _judge(db, rule, {})


def integrity(db: apsw.Connection, name: str, fact: str) -> Finding:
    """SQLite's own judgement, full-text indexes included."""
    try:
        said = [str(row[0]) for row in db.execute("PRAGMA integrity_check")]
    except apsw.Error as exc:
        return Finding(name, fact, 1, [type(exc).__name__], DAMAGED)
    return Finding(name, fact) if said == ["ok"] else Finding(name, fact, len(said), said[:AT_ONCE], DAMAGED)


def embedded_memory_finding(path: Path) -> Finding:
    """The embedded memory, read beside the process that owns it."""
    name, fact = "memory", "the embedded memory is there and whole"
    if not path.exists():
        mend = "Right only before the first start; else restore it from a backup, and check DATA_DIR."
        return Finding(name, fact, 1, ["no such file"], mend)
    try:
        db = open_read_only(path)
    except apsw.Error as exc:
        return Finding(name, fact, 1, [type(exc).__name__], DAMAGED)
    try:
        return integrity(db, name, fact)
    finally:
        db.close()
