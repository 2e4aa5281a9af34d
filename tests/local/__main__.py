"""``python -m tests.local``, which is ``make run``: start everything, print one address, end on Ctrl-C."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.local.processes import SETTINGS, NotStarted, Running, free_port
from tests.local.stack import Plan, Stack, started

DATA = Path(".data")
ENDING_S = 2.0  # how long a start that is under way may go on after somebody asked us to stop
DECIDED_HERE = frozenset(
    """
    ENVIRONMENT AUTH_REQUIRED AUTH_DEV_TOKENS CORS_ORIGINS ENRICHMENT_URL SERVE_PAGE DATA_DIR DATABASE_URL
    GRANT_JWKS_URL
    """.split()  # noqa: SIM905 - a list of words
)


def plan() -> Plan:
    """The usual ports, or free ones where those are taken; a configured Azure resource replaces ours."""
    wished = {name: os.environ[name] for name in SETTINGS & os.environ.keys() if os.environ[name]}
    for name in sorted(wished.keys() & DECIDED_HERE):
        print(f"  (make run decides {name} by itself; what your environment says is left aside)")
    settings = {name: value for name, value in wished.items() if name not in DECIDED_HERE}
    if "AZURE_VOICELIVE_ENDPOINT" not in settings:
        settings = {name: value for name, value in settings.items() if not name.startswith("AZURE_")}
    return Plan(DATA, free_port(8080), free_port(8081), free_port(8790), settings)


def announce(stack: Stack) -> None:
    azure = "a simulated Azure: no account needed" if stack.plan.is_simulated else ""
    memory = f"{DATA}/" if stack.plan.memory_backend == "embedded" else stack.plan.memory_backend
    notes = {"simulator": azure, "broker": "the page and the tokens", "enrichment": f"memory in {memory}"}
    print(f"\n  Open {stack['broker'].url}\n")
    for running in stack.running:
        print(f"    {running.service.name:<12}{running.url}  {notes[running.service.name]}")
    print(f"\n  Logs are in {DATA / 'logs'}/. Ctrl-C ends everything.\n", flush=True)


async def first_to_end(stack: Stack, stopped: asyncio.Event) -> Running | None:
    """Waits until somebody asks us to stop (None) or a process ends by itself (that one)."""
    tasks = {
        asyncio.create_task(running.process.wait(), name=running.service.name): running
        for running in stack.running
    }
    asked = asyncio.create_task(stopped.wait(), name="stop asked")
    done, waiting = await asyncio.wait({asked, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return next((tasks[task] for task in done if task in tasks), None)


async def run(stopped: asyncio.Event) -> int:
    """Everything, until somebody asks us to stop or a process dies; the exit code."""
    try:
        async with started(plan()) as stack:
            announce(stack)
            ended = await first_to_end(stack, stopped)
            print("Ending ...", flush=True)
    except NotStarted as exc:
        print(exc, file=sys.stderr)
        return 1
    if ended is None:
        return 0
    code = ended.process.returncode
    print(f"{ended.service.name} ended by itself with {code}:\n{ended.tail()}", file=sys.stderr)
    return 1


async def supervise() -> int:
    """`run`, ended in order by Ctrl-C, by a closed terminal and by SIGTERM, also while it starts."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    running = asyncio.create_task(run(stopped), name="run")
    asked = asyncio.create_task(stopped.wait(), name="stop asked")
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({running}, timeout=ENDING_S)
    running.cancel()
    await asyncio.wait({running, asked}, timeout=ENDING_S)
    return 0 if running.cancelled() else running.result()


@contextmanager
def alone() -> Iterator[None]:
    """Two runs must not share one memory. Raises SystemExit when another holds it."""
    DATA.mkdir(exist_ok=True)
    with (DATA / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"It is already running here: {DATA}/ belongs to another make run.")
        yield


if __name__ == "__main__":
    with alone():
        sys.exit(asyncio.run(supervise()))
