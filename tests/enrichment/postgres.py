"""A PostgreSQL server of our own for the tests: private folder, unix socket, no port.

``python -m tests.enrichment.postgres`` is what ``make test`` runs first: a machine without a server must get
one or fail here with a sentence, never skip the tests that need it.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

DEBIAN = Path("/usr/lib/postgresql")
NEEDED = ("initdb", "pg_ctl", "postgres")

SETTINGS = """
listen_addresses = ''
max_connections = 60
shared_buffers = 32MB
autovacuum_naptime = 10min
log_min_messages = fatal
"""
UNSYNCED = """
fsync = off
full_page_writes = off
"""


def programs() -> Path:
    """The folder of a server's programs: the newest of the system, else that of the package pgserver.

    Raises LookupError when there is none.
    """
    found = [*sorted(DEBIAN.glob("*/bin"), key=_version, reverse=True)]
    if initdb := shutil.which("initdb"):
        found.append(Path(initdb).resolve().parent)
    if (package := importlib.util.find_spec("pgserver")) and package.origin:
        found.append(Path(package.origin).parent / "pginstall" / "bin")
    for folder in found:
        if all((folder / name).exists() for name in NEEDED):
            return folder
    raise LookupError("no PostgreSQL server found: install one (Debian: apt-get install postgresql)")


def _version(folder: Path) -> float:
    return float(folder.parent.name)


class Server:
    """One server in ``folder``, run by somebody who is not root, whom PostgreSQL refuses."""

    def __init__(self, folder: Path, *, synced: bool) -> None:
        self._folder = folder
        self._synced = synced
        self._user = _somebody() if os.geteuid() == 0 else None
        self._programs = programs()

    def make(self) -> None:
        if self._user:
            self._programs = _readable(self._programs, self._folder)
            shutil.chown(self._folder, self._user, pwd.getpwnam(self._user).pw_gid)
        self._run("initdb", "-D", self._data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync")
        with (self._folder / "data/postgresql.conf").open("a") as conf:
            conf.write(SETTINGS + f"unix_socket_directories = '{self._folder}'\n")
            conf.write("" if self._synced else UNSYNCED)

    def start(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "30", "-l", f"{self._folder}/log", "start")

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is a crash: what was not on disk is gone."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def is_running(self) -> bool:
        return (self._folder / "data/postmaster.pid").exists()

    def url(self, schema: str | None = None, **settings: str) -> str:
        """Where to connect; everything without a schema of its own lands in ``schema``."""
        named = settings | ({"search_path": schema} if schema else {})
        options = quote(" ".join(f"-c {name}={value}" for name, value in named.items()))
        return f"postgresql://tests@/postgres?host={quote(str(self._folder), safe='')}&options={options}"

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                [self._programs / program, *arguments],
                check=False,
                cwd=self._folder,
                user=self._user,
                group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=60,
            )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{(self._folder / 'output').read_text()[-2000:]}")


@contextmanager
def server(*, synced: bool) -> Iterator[Server]:
    """A running server, gone afterwards. Not in pytest's folders, which only their owner may enter."""
    folder = Path(tempfile.mkdtemp(prefix="voicelive-pg-"))
    try:
        made = Server(folder, synced=synced)
        made.make()
        made.start()
        try:
            yield made
        finally:
            if made.is_running():
                made.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _somebody() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _readable(folder: Path, server_folder: Path) -> Path:
    """The programs where that somebody can run them: pgserver's, in root's virtual environment, are copied.

    With their libraries, which they look for beside the package.
    """
    if folder.parent.name != "pginstall":
        return folder
    package = folder.parent.parent
    shutil.copytree(folder.parent, server_folder / "pgserver/pginstall")
    if (libraries := package.with_name("pgserver.libs")).exists():
        shutil.copytree(libraries, server_folder / "pgserver.libs")
    return server_folder / "pgserver/pginstall/bin"


def install() -> None:
    """Ask the distribution, when we are root on Debian."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("No PostgreSQL server here yet; trying to install one ...", flush=True)
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
            done = subprocess.run(
                ["apt-get", *arguments],
                capture_output=True,
                check=False,
                timeout=600,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            )
            print(f"  apt-get {arguments[0]}: {'done' if done.returncode == 0 else 'failed'}", flush=True)


def _found() -> bool:
    try:
        programs()
    except LookupError:
        return False
    return True


if __name__ == "__main__":
    if not _found():
        install()
    try:
        print(f"Outbox tests use the PostgreSQL server in {programs()}")
    except LookupError as exc:
        sys.exit(str(exc))
