"""``python -m tests.local``, which is ``make run``: start everything, print one address, end on Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.local.processes import NotStarted, Running, free_port
from tests.local.stack import Plan, Stack, started

DATA = Path(".data")


def plan() -> Plan:
    """The usual ports, or free ones where those are taken; a configured Azure resource replaces ours."""
    configured = {name: value for name, value in os.environ.items() if name.startswith("AZURE_VOICELIVE_")}
    settings = configured if "AZURE_VOICELIVE_ENDPOINT" in configured else {}
    return Plan(DATA, free_port(8080), free_port(8081), free_port(8790), settings)


def announce(stack: Stack) -> None:
    azure = "a simulated Azure: no account needed" if stack.plan.is_simulated else ""
    notes = {"simulator": azure, "broker": "the page and the tokens", "enrichment": f"memory in {DATA}/"}
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


async def run() -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
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
    print(
        f"{ended.service.name} ended by itself with {ended.process.returncode}:\n{ended.tail()}",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
