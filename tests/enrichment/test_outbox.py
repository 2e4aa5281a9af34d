"""What every outbox promises."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path

import apsw
import pytest

from enrichment.outbox.port import LEASE_S, ForeignSession, StorageFailed
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import turn

ROOT = Path(__file__).parent.parent.parent


def ids(claim):
    return [turn.turn_id for turn in claim.turns]


async def test_a_claim_holds_a_session_s_turns_in_order_of_arrival(outbox):
    await outbox.accept("p", "s", [turn("a"), turn("b", after="a")])
    await outbox.accept("p", "s", [turn("c", after="b")])
    claim = await outbox.claim()
    assert (claim.person, claim.session_id, ids(claim)) == ("p", "s", ["a", "b", "c"])
    assert claim.turns[1] == turn("b", after="a")


async def test_the_same_turn_twice_is_one_turn(outbox):
    assert (await outbox.accept("p", "s", [turn("a")])).accepted == ["a"]
    again = await outbox.accept("p", "s", [turn("a"), turn("b"), turn("b")])
    assert (again.accepted, again.duplicate, again.conflicting) == (["b"], ["a", "b"], [])
    assert ids(await outbox.claim()) == ["a", "b"]


async def test_the_same_id_with_another_text_keeps_the_first_and_says_so(outbox):
    await outbox.accept("p", "s", [turn("a", "yes")])
    assert (await outbox.accept("p", "s", [turn("a", "no")])).conflicting == ["a"]
    assert (await outbox.claim()).turns[0].text == "yes"


async def test_a_delivered_turn_is_still_known_and_its_text_is_gone(outbox, tmp_path):
    await outbox.accept("p", "s", [turn("a", "a canary")])
    await outbox.delivered(await outbox.claim())
    assert (await outbox.accept("p", "s", [turn("a", "a canary")])).duplicate == ["a"]
    assert await outbox.claim() is None
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        assert db.execute("SELECT text FROM turn").fetchall() == [(None,)]


async def test_a_session_belongs_to_whoever_wrote_first(outbox):
    await outbox.accept("alice", "s", [turn("a")])
    with pytest.raises(ForeignSession):
        await outbox.accept("bob", "s", [turn("b")])
    assert await outbox.pending("bob", "s") == []
    assert [each.turn_id for each in await outbox.pending("alice", "s")] == ["a"]
    assert await outbox.pending_sessions("bob") == []


async def test_a_claimed_session_is_nobody_else_s_until_its_lease_ends(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    first = await outbox.claim()
    assert await outbox.claim() is None
    clock.pass_s(LEASE_S)
    second = await outbox.claim()
    assert ids(second) == ["a"]
    assert second.lease > first.lease


async def test_who_lost_the_lease_can_settle_nothing(outbox, clock):
    await outbox.accept("p", "s", [turn("a")])
    frozen = await outbox.claim()
    clock.pass_s(LEASE_S)
    current = await outbox.claim()
    await outbox.delivered(frozen)
    await outbox.park(frozen, "a", reason="late")
    await outbox.postpone(frozen, delay_s=999, reason="late")
    assert (await outbox.depth()).pending == 1
    await outbox.delivered(current)
    assert (await outbox.depth()).pending == 0


async def test_what_comes_during_a_delivery_is_delivered_next(outbox):
    await outbox.accept("p", "s", [turn("a")])
    claim = await outbox.claim()
    await outbox.accept("p", "s", [turn("b")])
    await outbox.delivered(claim)
    assert ids(await outbox.claim()) == ["b"]


async def test_a_postponed_session_waits_and_holds_up_no_other(outbox, clock):
    await outbox.accept("p", "stuck", [turn("a")])
    await outbox.postpone(await outbox.claim(), delay_s=60, reason="down")
    await outbox.accept("p", "fine", [turn("x")])
    await outbox.accept("p", "stuck", [turn("b")])
    claim = await outbox.claim()
    assert claim.session_id == "fine"
    await outbox.delivered(claim)
    assert await outbox.claim() is None
    assert await outbox.next_due_s() == 60
    clock.pass_s(60)
    claim = await outbox.claim()
    assert (ids(claim), claim.attempts) == (["a", "b"], 1)


async def test_a_parked_turn_frees_the_others_and_stays_readable(outbox):
    await outbox.accept("p", "s", [turn("poison"), turn("b")])
    await outbox.park(await outbox.claim(), "poison", reason="too long")
    assert ids(await outbox.claim()) == ["b"]
    assert [each.turn_id for each in await outbox.pending("p", "s")] == ["poison", "b"]
    depth = await outbox.depth()
    assert (depth.pending, depth.parked) == (1, 1)


async def test_depth_tells_how_long_the_oldest_has_waited(outbox, clock):
    assert (await outbox.depth()).oldest_s == 0
    await outbox.accept("p", "s", [turn("a")])
    clock.pass_s(12)
    assert (await outbox.depth()).oldest_s == 12


async def test_nothing_waits_when_all_is_delivered(outbox):
    assert await outbox.next_due_s() is None
    await outbox.accept("p", "s", [turn("a")])
    assert await outbox.next_due_s() == 0
    await outbox.delivered(await outbox.claim())
    assert await outbox.next_due_s() is None


async def test_many_at_once_are_each_kept_once(outbox):
    results = await asyncio.gather(
        *(outbox.accept("p", f"s{number % 7}", [turn(f"t{number}")]) for number in range(500))
    )
    assert sum(len(result.accepted) for result in results) == 500
    assert (await outbox.depth()).pending == 500


async def test_one_that_fails_undoes_nothing_of_the_others(outbox):
    await outbox.accept("alice", "s", [turn("a")])
    results = await asyncio.gather(
        outbox.accept("alice", "s", [turn("b")]),
        outbox.accept("bob", "s", [turn("x")]),
        outbox.accept("alice", "s", [turn("c")]),
        return_exceptions=True,
    )
    assert isinstance(results[1], ForeignSession)
    assert ids(await outbox.claim()) == ["a", "b", "c"]


async def test_a_full_disk_is_an_error_and_what_was_kept_is_kept(tmp_path, clock):
    outbox = SqliteOutbox(tmp_path / "outbox.db", now=clock)
    await outbox.accept("p", "s", [turn("a")])
    await outbox._database.run(lambda db: db.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(StorageFailed):
        await outbox.accept("p", "s", [turn(f"b{number}", "x" * 8000) for number in range(30)])
    await outbox._database.run(lambda db: db.execute("PRAGMA max_page_count = 1073741823"))
    assert (await outbox.accept("p", "s", [turn("c")])).accepted == ["c"]
    assert ids(await outbox.claim()) == ["a", "c"]
    await outbox.close()


async def test_the_file_is_written_ahead_and_synced_at_every_commit(outbox):
    modes = await outbox._database.run(
        lambda db: (db.execute("PRAGMA journal_mode").get, db.execute("PRAGMA synchronous").get)
    )
    assert modes == ("wal", 2)


CRASHING = """
import asyncio, os, sys
from pathlib import Path
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import turn

async def main():
    outbox = SqliteOutbox(Path(sys.argv[1]))
    async def post(session):
        for number in range(10_000):
            await outbox.accept("p", session, [turn(f"{session}-{number}")])
            os.write(1, f"{session}-{number}\\n".encode())
    await asyncio.gather(*(post(f"s{number}") for number in range(8)))

asyncio.run(main())
"""


async def test_whatever_was_acknowledged_is_there_after_kill_9(tmp_path):
    path = tmp_path / "outbox.db"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CRASHING, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    acknowledged = [await child.stdout.readline() for _ in range(300)]
    child.kill()
    acknowledged += [line async for line in child.stdout if line.endswith(b"\n")]
    await child.wait()
    outbox = SqliteOutbox(path)
    kept = [each.turn_id for number in range(8) for each in await outbox.pending("p", f"s{number}")]
    await outbox.close()
    assert {line.decode().strip() for line in acknowledged} <= set(kept)
    assert len(kept) == len(set(kept))


def test_the_bundled_sqlite_has_the_wal_reset_fix():
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)
