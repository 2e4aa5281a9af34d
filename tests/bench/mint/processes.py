"""Processes of the bench: started on cores of their own, measured as a whole tree, ended with all of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import httpx
import psutil

from tests.local.processes import ROOT, NotStarted

START_S = 90.0  # LiteLLM imports for half a minute where it shares a core
STOP_S = 5.0
TAIL_CHARACTERS = 600
CAN_PIN = hasattr(os, "sched_setaffinity")


@dataclass(frozen=True, slots=True)
class Cores:
    """``server`` is the core of what is measured; everything else runs on ``others``."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """With a single core, or where processes cannot be pinned, nothing is kept apart."""
        first, *others = sorted(os.sched_getaffinity(0)) if CAN_PIN else [0]
        return cls(frozenset([first]), frozenset(others or [first]))


def pin(cores: frozenset[int]) -> None:
    """Keep this process, and what it starts, to ``cores``; not every system can."""
    if CAN_PIN:
        os.sched_setaffinity(0, cores)


@dataclass(frozen=True, slots=True)
class Program:
    """How to start one process. ``probe`` is an address that answers, with whatever, once it is up.

    It gets no variable of our environment but the path: some of these programs are other people's.
    """

    name: str
    command: Sequence[str]
    probe: str
    cores: frozenset[int]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and all its children have used and hold."""

    cpu_s: float
    rss_bytes: int


class Process:
    """A started `Program`."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process, log: Path) -> None:
        self.program = program
        self._process = process
        self._log = log

    def usage(self) -> Usage:
        cpu_s, rss = 0.0, 0
        for one in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                cpu_s += times.user + times.system + times.children_user + times.children_system
                rss += one.memory_info().rss
        return Usage(cpu_s, rss)

    def _tree(self) -> Iterator[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            yield root
            yield from root.children(recursive=True)

    async def answers(self) -> None:
        """Returns when it is up. Raises `NotStarted` when it ends first or takes too long."""
        name = self.program.name
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S), httpx.AsyncClient(trust_env=False) as http:
                while self._process.returncode is None:
                    with contextlib.suppress(httpx.TransportError):
                        await http.get(self.program.probe)
                        return
                    await asyncio.sleep(0.1)
                raise NotStarted(f"{name} ended with {self._process.returncode}: {self.tail()}")
        raise NotStarted(f"{name} stays silent: {self.tail()}")

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-TAIL_CHARACTERS:].strip()

    async def stop(self) -> None:
        """Ask it to end; then whoever is left of its group is ended without asking."""
        if self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


@asynccontextmanager
async def started(program: Program, logs: Path) -> AsyncIterator[Process]:
    """The program, up; ended on leaving. It leads a group of its own, so Ctrl-C reaches only the bench."""
    log = logs / f"{program.name}.log"
    with _sink(log) as sink:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            cwd=program.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(logs), **program.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            preexec_fn=lambda: pin(program.cores),
        )
    running = Process(program, process, log)
    try:
        await running.answers()
        yield running
    finally:
        await running.stop()


def _sink(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("wb")
