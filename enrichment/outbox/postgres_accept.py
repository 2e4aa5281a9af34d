"""A group of posts into the tables, in a handful of statements however many posts there are.

What makes it exact beside other replicas is the order of the locks, which an erasure takes too: first the
persons (shared; an erasure takes its person alone), then the sessions, by id. Under those locks nobody else
adds a turn to these sessions or erases them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

import psycopg

from enrichment.outbox.port import Accepted, Erased, ForeignSession, Revoked
from enrichment.outbox.postgres_connections import NOW, Connection
from enrichment.outbox.postgres_group import Outcome, Post, Unstorable
from enrichment.outbox.postgres_news import NOTIFY
from enrichment.pseudonym import hashed
from enrichment.turn_rows import COLUMNS, values
from enrichment.turns import Turn

# A session that somebody holds must not stop all others: then each post is stored alone.
PATIENCE = "SET LOCAL lock_timeout = 300"
LOCK_PEOPLE = "SELECT pg_advisory_xact_lock_shared(key) FROM unnest(%s::bigint[]) AS key"
VOID_UNTIL = """
SELECT person, erased_at, NULL::float8 FROM outbox_erased_person WHERE person = ANY(%(people)s::text[])
UNION ALL
SELECT person, NULL, revoked_at FROM outbox_revoked_person WHERE person = ANY(%(people)s::text[])
"""
# The lease starts with the clock, so that it also fences what expired and was begun again under its old id.
OWN = f"""
WITH clock AS (SELECT {NOW} AS now)
INSERT INTO outbox_session (session_id, person, written_at, lease)
SELECT session_id, person, now, (now * 1000)::bigint
FROM unnest(%(session_ids)s::text[], %(people)s::text[]) AS new (session_id, person), clock
ORDER BY session_id ON CONFLICT DO NOTHING
"""
OWNERS = """
SELECT session_id, person, erased_of, due_at IS NULL OR held_back FROM outbox_session
WHERE session_id = ANY(%s::text[]) ORDER BY session_id FOR NO KEY UPDATE
"""
ADD = f"""
WITH clock AS (SELECT {NOW} AS now)
INSERT INTO outbox_turn (session_id, {COLUMNS}, fingerprint, traceparent, accepted_at)
SELECT session_id, {COLUMNS}, fingerprint, traceparent, now
FROM unnest(
    %(session_id)s::text[], %(turn_id)s::text[], %(previous_turn_id)s::text[], %(speaker)s::text[],
    %(text)s::text[], %(agent_id)s::text[], %(spoken_at)s::text[], %(interrupted)s::smallint[],
    %(fingerprint)s::bytea[], %(traceparent)s::text[]
) WITH ORDINALITY AS new (session_id, {COLUMNS}, fingerprint, traceparent, place), clock
ORDER BY place ON CONFLICT DO NOTHING RETURNING session_id, turn_id
"""
KNOWN = """
SELECT session_id, turn_id, fingerprint FROM outbox_turn
JOIN unnest(%s::text[], %s::text[]) AS asked (session_id, turn_id) USING (session_id, turn_id)
"""
DUE = f"""
WITH clock AS (SELECT {NOW} AS now)
UPDATE outbox_session SET written_at = now, held_back = false,
    due_at = CASE WHEN due_at IS NULL OR held_back THEN now ELSE due_at END
FROM clock WHERE session_id = ANY(%(session_ids)s::text[])
"""
ROW = ("session_id", *COLUMNS.split(", "), "fingerprint", "traceparent")

Key = tuple[str, str]  # session and turn
Owner = tuple[str | None, str | None]  # whose a session is, or the hash of whose it was until it was erased


async def store(connection: Connection, posts: Sequence[Post], now: float | None) -> Sequence[Outcome]:
    """What became of each post, inside the transaction of the caller."""
    try:
        await connection.execute(PATIENCE)
        return await _store(connection, posts, now)
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.LockNotAvailable, UnicodeError) as exc:
        raise Unstorable(type(exc).__name__) from None


async def _store(connection: Connection, posts: Sequence[Post], now: float | None) -> Sequence[Outcome]:
    late = await _late(connection, posts)
    idle, owners = await _own(connection, [post for post in posts if post not in late], now)
    refused = {post: refusal for post in posts if (refusal := late.get(post) or _refusal(post, owners))}
    first: dict[Key, Turn] = {}
    for post in posts:
        if post not in refused:
            for turn in post.turns:
                first.setdefault((post.session_id, turn.turn_id), turn)
    added = await _add(connection, first, now)
    known = await _known(connection, first.keys() - added)
    if added:
        touched = {session_id for session_id, _ in added}
        await connection.execute(DUE, {"session_ids": [*touched], "now": now})
        if touched & idle:  # of the others the deliverers know already
            await connection.execute(NOTIFY)
    prints = known | {key: first[key].fingerprint() for key in added}
    return [refused.get(post) or _answer(post, added, prints) for post in posts]


async def _late(connection: Connection, posts: Sequence[Post]) -> dict[Post, Erased | Revoked]:
    """Those whose person was erased, or had all grants revoked, after their grant was given.

    Of both the erasure counts: who gets a new grant must not bring back what was erased.
    """
    people = {post.person for post in posts}
    await connection.execute(LOCK_PEOPLE, (sorted(person_key(person) for person in people),))
    about = {"people": [hashed(person) for person in people]}
    rows = await (await connection.execute(VOID_UNTIL, about)).fetchall()
    erased = {person: erased_at for person, erased_at, _ in rows if erased_at is not None}
    revoked = {person: revoked_at for person, _, revoked_at in rows if revoked_at is not None}
    refused: dict[Post, Erased | Revoked] = {}
    for post in posts if rows else ():
        person, granted_at = hashed(post.person), math.inf if post.granted_at is None else post.granted_at
        if granted_at <= erased.get(person, -math.inf):
            refused[post] = Erased(post.session_id)
        elif granted_at <= revoked.get(person, -math.inf):
            refused[post] = Revoked(post.session_id)
    return refused


async def _own(
    connection: Connection, posts: Sequence[Post], now: float | None
) -> tuple[set[str], dict[str, Owner]]:
    """Locks the sessions, making those that are new: which nobody delivers yet, and whose each is or was."""
    wanted = {post.session_id: post.person for post in reversed(posts)}  # the first of several wins
    owners: dict[str, Owner] = {}
    idle: set[str] = set()
    while missing := sorted(wanted.keys() - owners.keys()):  # again only when one expired that very moment
        people = [wanted[session_id] for session_id in missing]
        await connection.execute(OWN, {"session_ids": missing, "people": people, "now": now})
        async for session_id, person, erased_of, is_idle in await connection.execute(OWNERS, (missing,)):
            owners[session_id] = (person, erased_of)
            idle |= {session_id} if is_idle else set()
    return idle, owners


def _refusal(post: Post, owners: dict[str, Owner]) -> ForeignSession | Erased | None:
    person, erased_of = owners[post.session_id]
    if hashed(post.person) == erased_of:
        return Erased(post.session_id)
    return None if post.person == person else ForeignSession(post.session_id)


async def _add(connection: Connection, turns: dict[Key, Turn], now: float | None) -> set[Key]:
    """Which of the turns were new."""
    if not turns:
        return set()
    rows = [
        (session_id, *values(turn), turn.fingerprint(), turn.traceparent)
        for (session_id, _), turn in turns.items()
    ]
    columns = dict(zip(ROW, map(list, zip(*rows, strict=True)), strict=True))
    return {
        (row[0], row[1]) for row in await (await connection.execute(ADD, columns | {"now": now})).fetchall()
    }


async def _known(connection: Connection, keys: Iterable[Key]) -> dict[Key, bytes]:
    """The fingerprints of turns that were there before."""
    asked = list(keys)
    if not asked:
        return {}
    session_ids, turn_ids = (list(column) for column in zip(*asked, strict=True))
    rows = await (await connection.execute(KNOWN, (session_ids, turn_ids))).fetchall()
    return {(session_id, turn_id): fingerprint for session_id, turn_id, fingerprint in rows}


def _answer(post: Post, added: set[Key], prints: dict[Key, bytes]) -> Accepted:
    """Of several posts of a new turn the first has it accepted."""
    accepted: list[str] = []
    duplicate: list[str] = []
    conflicting: list[str] = []
    for turn in post.turns:
        key = (post.session_id, turn.turn_id)
        if key in added:
            added.remove(key)
            accepted.append(turn.turn_id)
        else:
            (duplicate if prints[key] == turn.fingerprint() else conflicting).append(turn.turn_id)
    return Accepted(accepted, duplicate, conflicting)


def person_key(person: str) -> int:
    """What a person's lock is called; should two share one, they only wait for each other."""
    digest = hashlib.blake2b(person.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
