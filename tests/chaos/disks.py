"""Disks that fail, under the real SQLite: one whose power is cut, and one that is full.

Both stand between SQLite and the files, as VFS (https://sqlite.org/vfs.html). What they know of a disk: a
write is kept from the next sync on, and until then each sector of it may be on the disk or not, in any order.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import apsw

BASE = "unix"
SECTOR = 512  # bytes that a disk writes as a whole


@dataclass(frozen=True, slots=True)
class Change:
    """A write or a truncation that no sync has followed. ``before``: what stood there, and the size then."""

    offset: int
    new: bytes | None
    before: bytes
    size: int


@dataclass
class Power:
    """The power of a disk: cut after so many more changes and syncs; then nothing works any more."""

    left: int
    unsynced: dict[str, list[Change]] = field(default_factory=dict)

    def use(self) -> None:
        self.left -= 1
        self.check()

    def check(self) -> None:
        if self.left <= 0:
            raise apsw.IOError("the power is off")

    def cut(self) -> None:
        self.left = 0

    def forget(self, rng: random.Random) -> None:
        """Leave in the files what a disk would have. To be called once all of them are closed."""
        for name, changes in self.unsynced.items():
            with Path(name).open("r+b") as file:
                for change in reversed(changes):
                    _undo(file.fileno(), change)
                for change in changes:
                    _redo_some(file.fileno(), change, rng)


def _undo(file: int, change: Change) -> None:
    os.pwrite(file, change.before, change.offset)
    os.ftruncate(file, change.size)


def _redo_some(file: int, change: Change, rng: random.Random) -> None:
    """Some of the sectors, each by itself, so that a page is torn; a truncation, or not."""
    if change.new is None:
        if rng.random() < 0.5:
            os.ftruncate(file, change.offset)
        return
    for start, end in _sectors(change.offset, change.offset + len(change.new)):
        if rng.random() < 0.5:
            os.pwrite(file, change.new[start - change.offset : end - change.offset], start)


def _sectors(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The range in pieces that end where the disk's sectors do."""
    edges = [start, *range(start - start % SECTOR + SECTOR, end, SECTOR), end]
    return pairwise(edges)


class _PoweredFile(apsw.VFSFile):
    def __init__(self, name: apsw.URIFilename | str | None, flags: list[int], power: Power) -> None:
        super().__init__(BASE, name, flags)
        self._power = power
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._unsynced = power.unsynced.setdefault(path, [])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._power.use()
        self._remember(offset, bytes(data), len(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._power.use()
        self._remember(newsize, None, max(0, self.xFileSize() - newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._power.use()
        super().xSync(flags)
        self._unsynced.clear()

    def _remember(self, offset: int, new: bytes | None, length: int) -> None:
        size = self.xFileSize()
        there = max(0, min(length, size - offset))
        before = super().xRead(there, offset) if there else b""
        self._unsynced.append(Change(offset, new, before, size))


class PoweredDisk(apsw.VFS):
    """Its files live as long as the power does."""

    def __init__(self, power: Power) -> None:
        self._power = power
        super().__init__("powered", BASE)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        self._power.check()
        return _PoweredFile(name, flags, self._power)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._power.use()
        super().xDelete(filename, syncdir)
        self._power.unsynced.pop(filename, None)


class _CrampedFile(apsw.VFSFile):
    def __init__(self, name: apsw.URIFilename | str | None, flags: list[int], full: Path) -> None:
        super().__init__(BASE, name, flags)
        self._full = full

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._full.exists() and offset + len(data) > self.xFileSize():
            raise apsw.FullError("no space left")
        super().xWrite(data, offset)


class CrampedDisk(apsw.VFS):
    """Full as long as the file ``full`` exists: what is there can be overwritten, and nothing grows."""

    def __init__(self, full: Path) -> None:
        self._full = full
        super().__init__("cramped", BASE)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        return _CrampedFile(name, flags, self._full)


@contextmanager
def under_sqlite(disk: apsw.VFS, name: str) -> Iterator[None]:
    """Every connection that is opened inside uses ``disk``.

    What SQLite cannot pass on to anybody, because it is closing, is not printed.
    """
    usual, hook = apsw.vfs_names()[0], sys.unraisablehook
    apsw.set_default_vfs(name)
    sys.unraisablehook = lambda _unraisable: None
    try:
        yield
    finally:
        sys.unraisablehook = hook
        apsw.set_default_vfs(usual)
        disk.unregister()
