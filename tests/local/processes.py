"""One child process: started with a log file, known to be up when its address answers, ended in order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Protocol

import httpx
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_delay, wait_fixed

from broker.settings import Settings as BrokerSettings
from enrichment.settings import Settings as EnrichmentSettings

ROOT = Path(__file__).parent.parent.parent
START_S = 20.0
STOP_S = 12.0
TAIL_LINES = 15
FIRST_PORT, LAST_PORT = 10_240, 32_000
WORKERS = 8  # at most

# Every setting of either service, and what uvicorn reads by itself.
SETTINGS = frozenset(
    [
        *(name.upper() for name in (BrokerSettings.model_fields | EnrichmentSettings.model_fields)),
        "WEB_CONCURRENCY",
    ]
)


BROKER_ALONE, ENRICHMENT_ALONE = (
    frozenset(name.upper() for name in mine.keys() - other.keys())
    for mine, other in (
        (BrokerSettings.model_fields, EnrichmentSettings.model_fields),
        (EnrichmentSettings.model_fields, BrokerSettings.model_fields),
    )
)


class NotStarted(Exception):
    """A process ended, or stayed silent, before it answered. The message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start one of our processes. ``arguments`` follow ``python -m``."""

    name: str
    port: int
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    probe: str = "/health"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Process(Protocol):
    """What is used of one that was started, however that was done."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def terminate(self) -> None: ...

    def send_signal(self, number: int, /) -> None: ...

    async def wait(self) -> int: ...


class Running:
    """A started `Command`."""

    def __init__(self, service: Command, process: Process, log: Path) -> None:
        self.service = service
        self.process = process
        self.log = log
        self._began_at = log.stat().st_size

    @property
    def url(self) -> str:
        return self.service.url

    def tail(self) -> str:
        """The last lines it wrote; what an earlier run left in the same file is not among them."""
        written = self.log.read_bytes()[self._began_at :].decode(errors="replace")
        return "\n".join(written.splitlines()[-TAIL_LINES:])

    async def answers(self) -> None:
        """Returns when the process answers. Raises `NotStarted` when it ends first or takes too long."""
        asking = AsyncRetrying(
            retry=retry_if_exception_type(httpx.HTTPError),
            wait=wait_fixed(0.05),
            stop=stop_after_delay(START_S),
        )
        async with httpx.AsyncClient(trust_env=False) as http:  # no proxy stands before this machine
            try:
                await asking(self._ask, http)
            except RetryError as exc:
                raise NotStarted(f"{self.service.name} stays silent\n{self.tail()}") from exc

    async def _ask(self, http: httpx.AsyncClient) -> None:
        if self.process.returncode is not None:
            raise NotStarted(f"{self.service.name} ended with {self.process.returncode}\n{self.tail()}")
        (await http.get(f"{self.url}{self.service.probe}")).raise_for_status()

    async def stop(self) -> None:
        """Ask it to end, and insist when it does not."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self.process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """``kill -9``: it gets to do nothing more."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


Launch = Callable[[Sequence[str], Mapping[str, str], Path], Awaitable[Process]]


async def execute(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """``python -m`` with these arguments, in a session of its own: Ctrl-C reaches only who supervises it."""
    with log.open("ab") as sink:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            cwd=ROOT,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )


async def start(service: Command, logs: Path, launch: Launch = execute) -> Running:
    """Start a service; `tests.local.forks.fork` launches many of them in less time."""
    log = _log_of(service, logs)
    process = await launch(service.arguments, {**machine_environment(), **service.environment}, log)
    return Running(service, process, log)


def _log_of(service: Command, folder: Path) -> Path:
    log = folder / f"{service.name}.log"
    folder.mkdir(parents=True, exist_ok=True)
    log.touch()
    return log


def machine_environment() -> dict[str, str]:
    """What this shell says of the machine, without what it says of our services."""
    return {name: value for name, value in os.environ.items() if name not in SETTINGS}


def free_port(wanted: int = 0) -> int:
    """``wanted`` when nobody listens there, else any free one.

    Below those that a system gives to connections: one of these could be taken before the service listens.
    """
    while not (wanted and is_free(wanted)):
        wanted = next(_ports())
    return wanted


@cache
def _ports() -> Iterator[int]:
    """Each once, in an order of this process's own, and none that another worker of the tests may choose.

    A port that was found free is only taken when its service listens, a second later: by then another test
    had sometimes found it free too.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    mine = range(FIRST_PORT + worker, LAST_PORT, WORKERS)
    return cycle(random.sample(mine, len(mine)))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
