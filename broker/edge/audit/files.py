"""The audit in files: JSON lines that are only ever added to, in a folder of this machine.

``CHAIN.0001.jsonl`` and so on: a file that has grown enough is left, and the chain goes on in the next.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from broker.edge.audit.port import SinkFailed
from broker.edge.audit.sealing import Head, Line

ENOUGH_BYTES = 64 * 1024 * 1024


class FileSink:
    """One chain in a folder, synced before it is said to be written. Opens nothing until it is used."""

    def __init__(self, folder: Path, chain: str, *, enough_bytes: int = ENOUGH_BYTES) -> None:
        self._folder = folder
        self._chain = chain
        self._enough_bytes = enough_bytes
        self._part = 0
        self._fd: int | None = None
        self._size = 0

    def append(self, lines: Sequence[Line]) -> None:
        text = b"".join([line.text + b"\n" for line in lines])
        try:
            fd = self._open_part()
            write_all(fd, text)
            sync(fd)
            if os.fstat(fd).st_nlink == 0:  # somebody has deleted it while we had it open
                raise FileNotFoundError(errno.ENOENT, "deleted")
        except OSError as exc:
            raise SinkFailed(described(exc)) from exc
        self._size += len(text)

    def recover(self, known: Head) -> Head:
        """What was half written goes: nobody was told that it is there. A file that was deleted stays so."""
        if self._fd is None:
            return known
        try:
            if os.fstat(self._fd).st_nlink == 0:
                self._leave_part()
            else:
                os.ftruncate(self._fd, self._size)
                sync(self._fd)
        except OSError as exc:
            raise SinkFailed(described(exc)) from exc
        return known

    def close(self) -> None:
        if self._fd is not None:
            self._leave_part()

    def _open_part(self) -> int:
        if self._fd is not None and self._size >= self._enough_bytes:
            self._leave_part()
        if self._fd is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{self._chain}.{self._part + 1:04d}.jsonl"
            self._fd = open_to_add(path)
            self._part, self._size = self._part + 1, 0
        return self._fd

    def _leave_part(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                os.close(fd)


class FileAnchors:
    """Anchors as JSON lines, one file a chain: for a folder that whoever can write the audit cannot write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, head: Head, at_s: float) -> None:
        await asyncio.to_thread(self._add, self._folder / f"{head.chain}.jsonl", anchor_line(head, at_s))

    def _add(self, path: Path, text: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                write_all(fd, text)
                sync(fd)
            finally:
                os.close(fd)
        except OSError as exc:
            raise SinkFailed(described(exc)) from exc


def anchor_line(head: Head, at_s: float) -> bytes:
    at = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
    anchor = {"at": at, "chain": head.chain, "hash": head.hash, "n": head.n}
    return json.dumps(anchor, separators=(",", ":")).encode() + b"\n"


def open_to_add(path: Path) -> int:
    """A file that its owner and group alone may read, known to its folder also after a power cut."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640)
    try:
        sync_folder(path.parent)
        sync_folder(path.parent.parent)  # we may have made the folder too
    except OSError:
        os.close(fd)
        raise
    return fd


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, text: bytes) -> None:
    """The system may take a part of it only, and on a full disk does."""
    left = memoryview(text)
    while left:
        left = left[os.write(fd, left) :]


def sync(fd: int) -> None:
    """Returns when it is on the disk; the size of the file too, but not its times."""
    getattr(os, "fdatasync", os.fsync)(fd)


def described(exc: OSError) -> str:
    """The class and the code: the text would name a path."""
    return f"{type(exc).__name__} {errno.errorcode.get(exc.errno or 0, '')}".strip()
