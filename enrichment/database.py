"""One SQLite file behind one thread that commits in groups.

Every piece of work is a function of the connection. Whatever has queued up runs inside one transaction, each
piece in its own savepoint, and nobody is answered before that transaction is on disk. One fsync then serves
many callers: measured 10 to 18 times one commit per request.

Nobody waits for ever: not for a slow disk, nor behind too many others, nor for a thread that is no more.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw
import apsw.ext
import structlog

from enrichment.disk import Lock, Unlocked, refuse_network_share
from enrichment.outbox.port import StorageFailed

GROUP = 256  # pieces of work in one transaction
MOST_QUEUED = 2_000
SLOW_COMMIT_S = 0.5  # after one like that nobody queues behind another
RUN_S = 5.0
CLOSE_S = 10.0

# SQLite 3.7.0-3.51.2 can corrupt a WAL file when two connections checkpoint (https://sqlite.org/wal.html,
# "the WAL-reset bug", checked 2026-11-20); Python 3.11 brings 3.40.
OLDEST_SQLITE = (3, 51, 3)

Result = TypeVar("Result")
Work = Callable[[apsw.Connection], Result]


log = structlog.get_logger(__name__)


class _Stop:
    """Ends the thread, after the work before it."""


class _Piece:
    """Work that waits for its transaction, and what came of it."""

    def __init__(self, work: Work[Any], future: asyncio.Future[Any], *, erases: bool = False) -> None:
        self.work = work
        self.erases = erases
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def settle(self) -> None:
        if self.future.done():  # the caller went away; its work is committed all the same
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Database:
    """Opens ``path`` when made, inside a running loop; ``migrate`` brings its tables to this version.

    `close` ends after all queued work. Raises `WrongPlace` for a file on a network share; and, when it must
    be ``alone``, `InUse` for one that another process has alone.
    """

    def __init__(
        self, path: Path, migrate: Callable[[apsw.Connection], None], *, alone: bool = False
    ) -> None:
        refuse_old_sqlite()
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_network_share(path)
        self._loop = asyncio.get_running_loop()
        self._lock = Lock(path.with_name(f"{path.name}.lock")) if alone else Unlocked()
        try:
            self._connection = _prepared(connect(path), migrate)
        except BaseException:
            self._lock.release()
            raise
        self._queue: queue.SimpleQueue[_Piece | _Stop] = queue.SimpleQueue()
        self._commit_s = 0.0
        self._thread = threading.Thread(target=self._serve, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    async def run(self, work: Work[Result], *, erases: bool = False) -> Result:
        """What ``work`` returns, once it is durable. Raises what it raised, or `StorageFailed`.

        What it ``erases`` is not in the log of the file any more either.

        Work that was given up after 5 s may still be committed later. That is safe: whoever repeats it brings
        the same ids, and a lease that nobody holds runs out.
        """
        if not self.is_serving() or self._queue.qsize() >= MOST_QUEUED:
            raise StorageFailed("too much is queued, or nobody is left to do it")
        if self._commit_s > SLOW_COMMIT_S and not self._queue.empty():
            raise StorageFailed("the disk is slow")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queue.put(_Piece(work, future, erases=erases))
        try:
            async with asyncio.timeout(RUN_S):
                return await future
        except TimeoutError as exc:
            raise StorageFailed("the file takes too long") from exc

    def is_serving(self) -> bool:
        """Whether the thread that does all work is alive."""
        return self._thread.is_alive()

    async def close(self) -> None:
        """Ends after all queued work; a thread that hangs is left behind, with its file open."""
        self._queue.put(_Stop())
        await asyncio.to_thread(self._thread.join, CLOSE_S)
        if self._thread.is_alive():
            log.error("database.hangs")
        else:
            try:
                self._connection.close()  # fails where the disk does, at the last checkpoint
            finally:
                self._lock.release()

    def _serve(self) -> None:
        stopping = False
        try:
            while not stopping:
                group, stopping = self._next_group()
                self._serve_group(group)
        finally:
            self._refuse_what_is_queued()

    def _serve_group(self, group: list[_Piece]) -> None:
        began = time.monotonic()
        try:
            self._commit(group)
            if any(piece.erases for piece in group):
                self._empty_the_log()
        except BaseException as exc:
            _fail(group, exc)
            if not isinstance(exc, Exception):
                raise
        finally:  # whatever it was: nobody is left waiting, nor told that something was kept
            self._commit_s = time.monotonic() - began
            self._loop.call_soon_threadsafe(_settle, group)

    def _empty_the_log(self) -> None:
        """Outside any transaction; while somebody reads beside us it has to wait for a later checkpoint."""
        with suppress(apsw.BusyError, apsw.LockedError):
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _refuse_what_is_queued(self) -> None:
        """At the end nobody takes it any more: who waits for it learns that at once."""
        group: list[_Piece] = []
        while not self._queue.empty():
            item = self._queue.get()
            if isinstance(item, _Piece):
                group.append(item)
        if group:
            _fail(group, RuntimeError("the thread has ended"))
            self._loop.call_soon_threadsafe(_settle, group)

    def _next_group(self) -> tuple[list[_Piece], bool]:
        """Everything that has queued up, at least one piece; True when the last thing asked was to stop."""
        group: list[_Piece] = []
        while len(group) < GROUP and (not group or not self._queue.empty()):
            item = self._queue.get()
            if isinstance(item, _Stop):
                return group, True
            group.append(item)
        return group, False

    def _commit(self, group: list[_Piece]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for piece in group:
                self._attempt(piece)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # some errors roll back by themselves, a busy COMMIT does not
                self._connection.execute("ROLLBACK")
            raise

    def _attempt(self, piece: _Piece) -> None:
        """Run one piece in a savepoint of its own, so that its failure undoes nothing of the others."""
        try:
            with self._connection:
                piece.result = piece.work(self._connection)
        except (apsw.SQLError, apsw.ConstraintError) as exc:  # the statement, not the file
            piece.error = exc
        except apsw.Error:
            raise  # the file, the disk, the memory of the machine: the whole group fails
        except Exception as exc:  # noqa: BLE001 - handed to the caller who sent the work
            piece.error = exc


def _settle(group: list[_Piece]) -> None:
    for piece in group:
        piece.settle()


def _fail(group: list[_Piece], cause: BaseException) -> None:
    for piece in group:
        piece.error = StorageFailed(type(cause).__name__)
        piece.error.__cause__ = cause


def connect(path: Path) -> apsw.Connection:
    path.touch(mode=0o600)  # what people said is nobody else's to read; SQLite's other files take it over
    return _prepared(apsw.Connection(str(path)), _set_up)


def _set_up(connection: apsw.Connection) -> None:
    connection.set_busy_timeout(5_000)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # NORMAL forgets the last commits when the power goes
    connection.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten, not only unlinked


def _prepared(connection: apsw.Connection, prepare: Callable[[apsw.Connection], None]) -> apsw.Connection:
    """The connection after ``prepare``; closed when that fails."""
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def versioned(tables: str, steps: Sequence[str] = ()) -> Callable[[apsw.Connection], None]:
    """Makes the tables of the first version where there are none, and then each step that a file lacks.

    Raises RuntimeError for a file of a version that is not known yet.
    """

    def migrate(db: apsw.Connection) -> None:
        with db:
            db.execute(tables)
            version = int(db.execute("PRAGMA user_version").get)
            if version > len(steps):
                raise RuntimeError("the file was written by a newer version of this service")
            for step in steps[version:]:
                db.execute(step)
            db.execute(f"PRAGMA user_version = {len(steps)}")

    return migrate


def refuse_old_sqlite() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SQLITE:
        raise RuntimeError(f"SQLite {apsw.sqlite_lib_version()} can corrupt its WAL file; 3.51.3 is needed")
