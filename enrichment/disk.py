"""What must hold of the disk under a file that may lose nothing: ours alone, local, and not full.

SQLite's locks do not hold on network shares (https://sqlite.org/howtocorrupt.html, checked 2026-11-20), and a
full disk stops deletions too: a ballast file kept from the start is what an operator can give up to go on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "ceph", "glusterfs", "afs"})
LEAST_FREE_BYTES = 256 * 1024 * 1024
LEAST_FREE_SHARE = 0.1
LOOK_S = 0.2  # a look lets another thread run first, which costs a post 45 µs; 256 MiB are not full sooner


class WrongPlace(Exception):
    """The file cannot be kept safely where it is. The message says why."""


class InUse(WrongPlace):
    """Another process has the file open."""


class Lock:
    """Held by one process as long as it lives; raises `InUse` when another has it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self._file.close()
            raise InUse(f"another process has {path.stem} open: one file, one process") from exc

    def release(self) -> None:
        self._file.close()


class Unlocked:
    """In the place of a `Lock`, for a file that several may have."""

    def release(self) -> None:
        return


def refuse_network_share(path: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Raises `WrongPlace` when ``path`` is on a network share; where that cannot be told, it is let pass."""
    kind = file_system(path, mounts.read_text() if mounts.exists() else "")
    if kind in NETWORK:
        raise WrongPlace(f"{path.name} would be on a network share ({kind}), where SQLite loses data")


def file_system(path: Path, mounts: str) -> str:
    """The kind of the file system that ``path`` is on, by Linux's table of mounts; "" if unknown."""
    place = path.resolve()
    kinds = {
        Path(fields[1].replace("\\040", " ")): fields[2] for fields in map(str.split, mounts.splitlines())
    }
    return next((kinds[above] for above in (place, *place.parents) if above in kinds), "")


class Room:
    """The free space beside ``path``, and the ballast of so many bytes that keeps some of it back.

    ``now`` gives seconds.
    """

    def __init__(
        self, path: Path, ballast_bytes: int = 0, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = path.parent
        self._now = now
        self._looked_at: float | None = None
        self._is_short = False
        self._ballast = path.with_name(f"{path.name}.ballast")
        self._ballast_bytes = ballast_bytes

    def is_short(self) -> bool:
        """Whether less than 256 MiB is left, on a small disk less than a tenth: nothing new is taken then."""
        now = self._now()
        if self._looked_at is None or abs(now - self._looked_at) >= LOOK_S:
            self._is_short = self._is_short_without(0)
            self._looked_at = now
        return self._is_short

    def _is_short_without(self, size: int) -> bool:
        usage = shutil.disk_usage(self._folder)
        return usage.free - size < min(LEAST_FREE_BYTES, LEAST_FREE_SHARE * usage.total)

    def keep_ballast(self) -> None:
        """Reserve the ballast's blocks, unless they are, or too little room is left for them."""
        if self._ballast_bytes == 0 or self._ballast.exists() or self._is_short_without(self._ballast_bytes):
            return
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)

    def drop_ballast(self) -> int:
        """Give the ballast's room back; how many bytes that were."""
        if not self._ballast.exists():
            return 0
        size = self._ballast.stat().st_size
        self._ballast.unlink()
        return size
