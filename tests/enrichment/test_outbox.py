"""What only the embedded outbox promises: the file, the disk, the version of SQLite."""

from __future__ import annotations

import sqlite3

import apsw
import pytest

from enrichment.outbox.port import StorageFailed
from enrichment.outbox.sqlite import SqliteOutbox
from tests.enrichment.build import turn
from tests.enrichment.outboxes import ids


async def test_the_text_of_a_delivered_turn_is_not_in_the_table(outbox, tmp_path):
    await outbox.accept("p", "s", [turn("a", "a canary")])
    await outbox.delivered(await outbox.claim())
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        assert db.execute("SELECT text FROM turn").fetchall() == [(None,)]


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


def test_the_bundled_sqlite_has_the_wal_reset_fix():
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)
