"""The file behind the outbox and the embedded memory: what fails, fails soon, alone, and not for ever."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import apsw
import pytest

from enrichment import database
from enrichment.database import RUN_S, SLOW_COMMIT_S, Database, _Piece, _Stop
from enrichment.outbox.port import StorageFailed


def tables(db):
    db.execute("CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY) STRICT")


def keep(name):
    return lambda db: db.execute("INSERT INTO kept VALUES (?)", (name,)).get


def names(db):
    return [name for (name,) in db.execute("SELECT name FROM kept ORDER BY name")]


def fail(error):
    def work(_db):
        raise error

    return work


@pytest.fixture
async def kept(tmp_path):
    subject = Database(tmp_path / "kept.db", tables)
    yield subject
    await subject.close()


@pytest.fixture
async def hanging(kept):
    """A database whose thread is in the middle of a piece of work, until the test sets the event."""
    began, go_on = threading.Event(), threading.Event()

    def hang(db):
        began.set()
        go_on.wait(5)
        return keep("hung")(db)

    hung = asyncio.create_task(kept.run(hang))
    await asyncio.to_thread(began.wait, 5)
    yield go_on
    go_on.set()
    await asyncio.wait([hung])
    hung.exception()


async def group(kept, *works):
    """The works as one transaction: they queue up behind a first one."""
    began, go_on = threading.Event(), threading.Event()

    def hold(_db):
        began.set()
        go_on.wait(5)

    first = asyncio.create_task(kept.run(hold))
    await asyncio.to_thread(began.wait, 5)
    tasks = [asyncio.create_task(kept.run(work)) for work in works]
    await asyncio.sleep(0)  # each of them has queued its work
    go_on.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_nobody_waits_for_ever_and_what_was_given_up_may_still_be_kept(kept, hanging, monkeypatch):
    monkeypatch.setattr(database, "RUN_S", 0.05)
    with pytest.raises(StorageFailed):
        await kept.run(keep("late"))
    monkeypatch.undo()
    hanging.set()
    assert await kept.run(names) == ["hung", "late"]


async def test_who_comes_when_too_much_is_queued_is_sent_away_at_once(kept, hanging, monkeypatch):
    monkeypatch.setattr(database, "MOST_QUEUED", 3)
    queued = [asyncio.create_task(kept.run(keep(name))) for name in "abc"]
    await asyncio.sleep(0)
    with pytest.raises(StorageFailed):
        await kept.run(keep("d"))
    hanging.set()
    await asyncio.gather(*queued)
    assert await kept.run(names) == ["a", "b", "c", "hung"]


async def test_a_thread_that_hangs_does_not_hold_up_the_end(tmp_path, monkeypatch):
    subject = Database(tmp_path / "kept.db", tables)
    go_on = threading.Event()
    hung = asyncio.create_task(subject.run(lambda _db: go_on.wait(5)))
    monkeypatch.setattr(database, "CLOSE_S", 0.05)
    await asyncio.sleep(0)
    await subject.close()
    go_on.set()
    monkeypatch.undo()
    assert await hung
    await subject.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_when_the_thread_dies_everybody_is_told_and_nothing_is_called_kept(kept):
    before, _, after = await group(kept, keep("before"), fail(SystemExit()), keep("after"))
    assert isinstance(before, StorageFailed)
    assert isinstance(after, StorageFailed)
    await asyncio.to_thread(kept._thread.join, 5)
    with pytest.raises(StorageFailed):
        await kept.run(names)


@pytest.mark.parametrize(
    "error",
    [
        apsw.BusyError("canary"),
        apsw.LockedError("canary"),
        apsw.NotADBError("canary"),
        apsw.CantOpenError("canary"),
        apsw.NoMemError("canary"),
        apsw.FullError("canary"),
        apsw.IOError("canary"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_wrong_with_the_file_fails_the_whole_group_and_the_next_works(kept, error):
    results = await group(kept, keep("a"), fail(error), keep("b"))
    assert [type(result) for result in results] == [StorageFailed] * 3
    assert "canary" not in str(results[0])
    await kept.run(keep("c"))
    assert await kept.run(names) == ["c"]


@pytest.mark.parametrize("error", [apsw.SQLError, apsw.ConstraintError, KeyError])
async def test_what_is_wrong_with_one_piece_fails_that_piece_alone(kept, error):
    results = await group(kept, keep("a"), fail(error("mine")), keep("b"))
    assert [type(result) for result in results] == [type(None), error, type(None)]
    assert await kept.run(names) == ["a", "b"]


class BusyDisk(apsw.VFS):
    """The usual file system, until ``is_busy``: then what is written ahead cannot be written."""

    def __init__(self):
        super().__init__("busy disk", "")
        self.is_busy = False

    def xOpen(self, name, flags):
        return BusyFile(self, name, flags)


class BusyFile(apsw.VFSFile):
    """A file of a `BusyDisk`."""

    def __init__(self, disk, name, flags):
        super().__init__("", name, flags)
        self.disk = disk
        self.is_log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)

    def xWrite(self, data, offset):
        if self.is_log and self.disk.is_busy:
            raise apsw.BusyError("busy")
        super().xWrite(data, offset)


async def test_a_commit_that_fails_without_rolling_back_fails_alone(tmp_path, monkeypatch):
    disk = BusyDisk()
    monkeypatch.setattr(apsw, "Connection", partial(apsw.Connection, vfs="busy disk"))
    subject = Database(tmp_path / "kept.db", tables)
    disk.is_busy = True
    with pytest.raises(StorageFailed):
        await subject.run(keep("a"))
    disk.is_busy = False
    await subject.run(keep("b"))
    assert await subject.run(names) == ["b"]
    await subject.close()


async def test_after_a_slow_commit_nobody_queues_behind_another(kept, hanging):
    kept._commit_s = SLOW_COMMIT_S + 0.1
    first = asyncio.create_task(kept.run(keep("first")))
    await asyncio.sleep(0)
    with pytest.raises(StorageFailed) as refused:
        await kept.run(keep("second"))
    assert 1.0 <= refused.value.retry_after_s <= 5.0
    hanging.set()
    await first
    await kept.run(keep("third"))


async def test_what_is_still_queued_when_the_thread_ends_is_told_at_once(kept, hanging):
    waiting = [asyncio.create_task(kept.run(keep(name))) for name in ("one", "two")]
    await asyncio.sleep(0)
    kept._queue.put(_Stop())
    late = _Piece(keep("late"), asyncio.get_running_loop().create_future())
    kept._queue.put(late)
    hanging.set()
    await asyncio.gather(*waiting)
    async with asyncio.timeout(RUN_S / 2):
        with pytest.raises(StorageFailed):
            await late.future


async def test_a_file_whose_tables_cannot_be_made_can_be_opened_again(tmp_path):
    def fail(_connection):
        raise RuntimeError("of a newer version")

    with pytest.raises(RuntimeError, match="newer"):
        Database(tmp_path / "some.db", fail)
    await Database(tmp_path / "some.db", lambda _connection: None).close()
