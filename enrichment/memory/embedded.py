"""Memory in one SQLite file with full-text search, for a machine without Zep.

It recalls what was said: recent turns, and turns that share words with what is being talked about. It does
not extract facts, and does not claim to.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from enrichment.database import Database, Result, Work, versioned
from enrichment.memory.embedded_schema import STEPS, TABLES, owner
from enrichment.memory.port import Episode, Episodes, Forgotten, Found, Match, Recalled, Unreachable
from enrichment.outbox.port import StorageFailed
from enrichment.turn_rows import COLUMNS, Row, turn_of, values
from enrichment.turns import Turn

OPENING_CHARACTERS = 80
QUERY_WORDS = 12
MOST_SEQ = 2**63 - 1

REMEMBER = f"""
INSERT INTO turn (person, session_id, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
EPISODES = """
SELECT session_id, count(*), min(spoken_at), max(spoken_at),
       (SELECT text FROM turn AS first WHERE first.person = turn.person AND first.session_id = turn.session_id
        ORDER BY seq LIMIT 1), max(seq) AS last
FROM turn WHERE person = ? GROUP BY session_id HAVING last < ? ORDER BY last DESC LIMIT ?
"""
EPISODE = f"SELECT {COLUMNS} FROM turn WHERE person = ? AND session_id = ? ORDER BY seq"
RECENT = f"SELECT seq, {COLUMNS} FROM turn WHERE person = ? AND speaker = 'user' ORDER BY seq DESC LIMIT ?"
LATEST_WORDS = """
SELECT text FROM turn WHERE person = ? AND session_id = ? AND speaker = 'user' ORDER BY seq DESC LIMIT 1
"""
MATCHING = f"""
SELECT seq, session_id, {", ".join(f"turn.{column}" for column in COLUMNS.split(", "))}
FROM words JOIN turn ON turn.seq = words.rowid
WHERE words MATCH ? AND person = ? AND speaker IN (?, 'user') ORDER BY words.rank LIMIT ?
"""
FORGET = "DELETE FROM turn WHERE person = ? AND session_id = ?"
FORGET_PERSON = "DELETE FROM turn WHERE person = ?"
SESSIONS = "SELECT count(DISTINCT session_id) FROM turn WHERE person = ?"


class EmbeddedMemory:
    """A `Memory` in ``path``. ``now`` gives Unix seconds, for turns that do not say when they were spoken."""

    name = "embedded"

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(path, versioned(TABLES, STEPS))
        self._now = now

    async def remember(self, person: str, session_id: str, turns: Sequence[Turn]) -> None:
        now = datetime.fromtimestamp(self._now(), UTC)
        dated = [turn if turn.spoken_at else replace(turn, spoken_at=now) for turn in turns]
        rows = [(person, session_id, *values(turn)) for turn in dated]
        await self._write(lambda db: db.executemany(REMEMBER, rows))

    async def episodes(self, person: str, *, limit: int, cursor: str | None = None) -> Episodes:
        before = MOST_SEQ if cursor is None else int(cursor)
        if not 0 <= before <= MOST_SEQ:
            raise ValueError("the cursor is none of ours")

        def read(db: apsw.Connection) -> list[Row]:
            return db.execute(EPISODES, (person, before, limit)).fetchall()

        rows = await self._database.run(read)
        page = [
            Episode(session_id, turns, first_at, last_at, text[:OPENING_CHARACTERS])
            for session_id, turns, first_at, last_at, text, _ in rows
        ]
        return Episodes(page, str(rows[-1][-1]) if len(rows) == limit else None)

    async def episode(self, person: str, session_id: str) -> Sequence[Turn]:
        rows = await self._database.run(lambda db: db.execute(EPISODE, (person, session_id)).fetchall())
        return [turn_of(row) for row in rows]

    async def recall(self, person: str, session_id: str | None, *, limit: int) -> Recalled:
        """Half of it matches what the session was last about, the rest is simply recent."""

        def read(db: apsw.Connection) -> list[Row]:
            latest = db.execute(LATEST_WORDS, (person, session_id)).get if session_id else None
            query = match_any(person, latest or "")
            matching = db.execute(MATCHING, (query, person, "user", limit // 2)).fetchall() if query else []
            recent = db.execute(RECENT, (person, limit)).fetchall()
            by_seq: dict[Any, Row] = {row[0]: row[2:] for row in matching} | {
                row[0]: row[1:] for row in recent
            }
            kept = sorted(list(by_seq)[:limit], reverse=True)
            return [by_seq[seq] for seq in kept]

        return Recalled(turns=[turn_of(row) for row in await self._database.run(read)])

    async def search(self, person: str, query: str, *, limit: int) -> Found:
        words = match_any(person, query)
        if not words:
            return Found()

        def read(db: apsw.Connection) -> list[Row]:
            return db.execute(MATCHING, (words, person, "assistant", limit)).fetchall()

        return Found(turns=[Match(row[1], turn_of(row[2:])) for row in await self._database.run(read)])

    async def forget_session(self, person: str, session_id: str) -> Forgotten:
        def forget(db: apsw.Connection) -> Forgotten:
            db.execute(FORGET, (person, session_id))
            return Forgotten(int(db.changes() > 0), db.changes())

        return await self._write(forget, erases=True)

    async def forget_person(self, person: str) -> Forgotten:
        def forget(db: apsw.Connection) -> Forgotten:
            sessions = db.execute(SESSIONS, (person,)).get
            db.execute(FORGET_PERSON, (person,))
            return Forgotten(sessions, db.changes())

        return await self._write(forget, erases=True)

    async def _write(self, work: Work[Result], *, erases: bool = False) -> Result:
        try:
            return await self._database.run(work, erases=erases)
        except StorageFailed as exc:
            raise Unreachable("the memory's file cannot be written") from exc

    async def close(self) -> None:
        await self._database.close()


def match_any(person: str, text: str) -> str:
    """An FTS5 query for any of the words in what the person said, "" when there are none.

    Each is quoted: raw text would be read as query syntax.
    """
    words = sorted({word.lower() for word in re.findall(r"\w+", text)}, key=lambda word: (-len(word), word))
    any_of_them = " OR ".join(f'"{word}"' for word in words[:QUERY_WORDS])
    return f'owner : "{owner(person)}" AND text : ({any_of_them})' if words else ""
