"""A process in a root of its own, as a container has it, out of Linux's own parts: no Docker is needed.

The base image is this machine's: its /usr and /etc, read-only, with the Python of these tests in /usr/local.
The process is the first of its own process space, so signals reach it as they reach a container's. Network
and kernel are the machine's.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.image.memory import Memory

SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
DEVICES = ("null", "zero", "random", "urandom")
# What images of Python set; the interpreter of these tests may have its library where no cache knows it.
BASE_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LD_LIBRARY_PATH": "/usr/local/lib",
    "HOME": "/",
    "LANG": "C.UTF-8",
}
APART = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--ipc", "--uts")
# Of a user there are no rights left, and no program gives any.
AS_USER = "setpriv --reuid={0} --regid={1} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"


@dataclass(frozen=True, slots=True)
class Inside:
    """How a process is started in a root. ``user`` is ``UID:GID``, or nothing for root.

    ``root`` is a folder in ``memory``. ``writable`` are folders of the machine by their place inside;
    ``readable`` can only be read.
    """

    memory: Memory
    root: Path
    workdir: str
    user: str
    environment: Mapping[str, str]
    is_read_only: bool = True
    writable: Mapping[str, Path] = field(default_factory=dict)
    readable: Mapping[str, Path] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        """What to start on this machine, so that ``words`` run in there."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        start = ["env", "-i", "-C", self.workdir, *variables, *words]
        become = AS_USER.format(*_numbers(self.user)).split() if self.user else []
        lines = [*self._mounts(), shlex.join(["exec", "chroot", str(self.root), *become, *start])]
        return [*self.memory.enter, *APART, "sh", "-euc", "\n".join(lines)]

    def _mounts(self) -> list[str]:
        root = str(self.root)
        return [
            shlex.join(["mount", "--bind", root, root]),
            *self._bound("/usr", Path("/usr"), "ro"),
            *self._bound("/etc", Path("/etc"), "ro"),
            *self._python(),
            shlex.join(["mount", "-t", "proc", "proc", f"{root}/proc"]),
            *self._devices(),
            shlex.join(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/tmp"]),
            *(line for place, path in self.writable.items() for line in self._bound(place, path, "rw")),
            *(line for place, path in self.readable.items() for line in self._bound(place, path, "ro")),
            *([f"mount -o remount,bind,ro {shlex.quote(root)}"] if self.is_read_only else []),
        ]

    def _bound(self, place: str, path: Path, mode: str) -> list[str]:
        there = shlex.quote(f"{self.root}{place}")
        return [
            f"[ -d {there} ] || mkdir -p {there}",
            f"mount --bind {shlex.quote(str(path))} {there}",
            f"mount -o remount,bind,{mode} {there}",
        ]

    def _python(self) -> list[str]:
        """The interpreter's own folder as /usr/local; where that is /usr, one that points there."""
        prefix = Path(sys.base_prefix)
        if prefix == Path("/usr/local"):
            return []
        if prefix != Path("/usr"):
            return self._bound("/usr/local", prefix, "ro")
        local = shlex.quote(f"{self.root}/usr/local")
        interpreter = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
        return [
            f"mount -t tmpfs tmpfs {local}",
            f"mkdir {local}/bin",
            f"ln -s {interpreter} {local}/bin/python",
            f"mount -o remount,ro {local}",
        ]

    def _devices(self) -> list[str]:
        dev = shlex.quote(f"{self.root}/dev")
        made = [f"touch {dev}/{name}; mount --bind /dev/{name} {dev}/{name}" for name in DEVICES]
        return [f"mount -t tmpfs -o mode=755 tmpfs {dev}", *made, f"mount -o remount,ro {dev}"]


def new_root(folder: Path) -> Path:
    """An empty root with places for what the base has."""
    for name in ("usr", "etc", "proc", "dev", "tmp", "opt", "home", "var"):
        (folder / name).mkdir(parents=True)
    for name in SYSTEM:
        there = Path("/", name)
        if there.is_symlink():
            (folder / name).symlink_to(there.readlink())
    folder.chmod(0o755)
    return folder


def _numbers(user: str) -> Sequence[str]:
    uid, _, gid = user.partition(":")
    if not (uid.isdecimal() and gid.isdecimal()):
        raise ValueError(f"USER {user}: a number for user and group, which no /etc/passwd need know")
    return uid, gid
