"""A memory in a process of its own, that writes down what it takes: ``python -m tests.chaos.recorder``.

Like Zep it keeps each message once by its id and takes a repeat for done. It can be slow, lose answers to
what it has kept, and go away: the last through a second port, where it is told so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from pathlib import Path
from typing import Any, TextIO

import uvloop

from tests.bench.faults.wire import Asked, Port, Wire
from tests.chaos.checker import Kept


class Recorder:
    """``journal`` gets a line a turn, in the order in which they were kept."""

    def __init__(self, journal: TextIO, port: int, seed: int) -> None:
        self._journal = journal
        self._rng = random.Random(seed)
        self._known: set[tuple[str, ...]] = set()
        self._counts = {"deliveries": 0, "repeated": 0, "unanswered": 0}
        self._dropped, self._slow_s = 0.0, 0.0
        self._opening: asyncio.Task[None] | None = None
        self.port = Port(port, self._remember)

    def _remember(self, asked: Asked, wire: Wire) -> None:
        self._keep(json.loads(asked.body))
        if self._rng.random() < self._dropped:
            self._counts["unanswered"] += 1
            wire.abort()
        elif self._slow_s:
            delay_s = self._rng.uniform(0, 2 * self._slow_s)
            asyncio.get_running_loop().call_later(delay_s, wire.answer, 200, b"{}")
        else:
            wire.answer(200, b"{}")

    def _keep(self, told: dict[str, Any]) -> None:
        person, session_id = told["person"], told["session_id"]
        lines = []
        for turn_id, text in told["turns"]:
            if (key := (person, session_id, turn_id)) in self._known:
                self._counts["repeated"] += 1
            else:
                self._known.add(key)
                lines.append(json.dumps([*key, text]))
        self._counts["deliveries"] += 1
        self._journal.write("".join(f"{line}\n" for line in lines))
        self._journal.flush()

    def command(self, asked: Asked, wire: Wire) -> None:
        """What the bench asks or wants, through the other port."""
        wishes = json.loads(asked.body) if asked.body else {}
        self._dropped = wishes.get("dropped", self._dropped)
        self._slow_s = wishes.get("slow_s", self._slow_s)
        if wishes.get("away"):
            self.port.refuse()
        elif "away" in wishes:
            self._opening = asyncio.create_task(self.port.open())
        wire.answer(200, json.dumps(self._counts).encode())


def journal_of(path: Path) -> list[Kept]:
    """What a recorder kept, oldest first."""
    return [Kept(*json.loads(line)) for line in path.read_text().splitlines()]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where turns are taken")
    parser.add_argument("--commands", type=int, required=True, help="where it is told what to do")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with given.journal.open("a") as journal:
        recorder = Recorder(journal, given.port, given.seed)
        await recorder.port.open()
        await Port(given.commands, recorder.command).open()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
