"""Our processes, forked from one that has imported them already: a start takes 0.05 s of CPU instead of 0.35.

For whoever starts dozens. What runs is the same module as after ``python -m``, in a process of its own, with
its own environment, session, log and exit code; only that nothing has to be imported again.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from tests.local.processes import ROOT, Process, execute

IMPORTED = ["broker.__main__", "enrichment.__main__", "tests.chaos.service", "tests.chaos.recorder"]


class Forked:
    """A started process, as `asyncio.subprocess.Process` shows one."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None, "it was started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    async def wait(self) -> int:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        assert self.returncode is not None, "its end was told"
        return self.returncode


async def fork(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """``arguments`` follow ``python -m``; what it prints is added to ``log``.

    The simulator is executed as ever: a fork may start no workers, and it needs them to speak.
    """
    if arguments[0] == "tests.simulator":
        return await execute(arguments, environment, log)
    process = _template().Process(target=_run, args=(arguments, environment, log), daemon=True)
    await asyncio.to_thread(process.start)  # the first one waits for all the imports
    return Forked(process)


@cache
def _template() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _run(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    os.setsid()
    os.chdir(ROOT)
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), sys.stdout.fileno())
        os.dup2(sink.fileno(), sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    module, *rest = arguments
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
