"""The fake Azure: two domains that mint and fail by schedule, and one port that no fault ever touches.

On the untouched port tokens are redeemed (``/openai/v1/realtime/calls``): the bench judges mints, so a call
is placed where nothing else can go wrong with it. It also holds the managed identity endpoint that accepts
and never answers, and what the conductor asks: ``/begin`` and ``/figures``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from urllib.parse import urlsplit

import uvloop

from tests.bench.faults import answers
from tests.bench.faults.domain import FakeDomain, Tokens
from tests.bench.faults.mixes import Fault, mix_named
from tests.bench.faults.schedules import Schedule
from tests.bench.faults.wire import Asked, Port, Wire

CALLS_PATH = "/openai/v1/realtime/calls"
MINTED_AT = "x-minted-at"  # the origin that the token came with; it must work there and nowhere else


class FakeAzure:
    """All ports of one run. Domain A is on the first port given, B on the second."""

    def __init__(self, schedule: Schedule, ports: list[int], untouched: int) -> None:
        tokens = Tokens()
        self._schedule = schedule
        self._tokens = tokens
        self.domains = {
            f"http://127.0.0.1:{port}": FakeDomain(name, schedule, tokens)
            for name, port in zip("AB", ports, strict=True)
        }
        self._ports = {
            domain.name: Port(port, domain.asked)
            for port, domain in zip(ports, self.domains.values(), strict=True)
        }
        self._untouched = Port(untouched, self._asked)
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        for port in (*self._ports.values(), self._untouched):
            await port.open()

    def _asked(self, asked: Asked, wire: Wire) -> None:
        path = urlsplit(asked.path).path
        if path == CALLS_PATH:
            self._redeem(asked, wire)
        elif path == "/figures":
            wire.answer(200, json.dumps(self.figures()).encode())
        elif path == "/begin":
            self._begin(json.loads(asked.body)["at"])
            wire.answer(200, b"{}")
        elif not path.startswith("/identity"):
            wire.answer(404, answers.NO_SUCH_ROUTE)

    def _redeem(self, asked: Asked, wire: Wire) -> None:
        domain = self.domains.get(asked.headers.get(MINTED_AT, ""))
        value = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if domain is not None and self._tokens.redeem(value, domain.name):
            wire.answer(201, b"v=0\r\n", {"content-type": "application/sdp"})
        else:
            wire.answer(401, answers.WRONG_KEY)

    def figures(self) -> dict[str, object]:
        return {domain.name: domain.figures() for domain in self.domains.values()}

    def _begin(self, at: float) -> None:
        """Start the schedule at that instant of the machine's monotonic clock."""
        for domain in self.domains.values():
            domain.begin(at)
        loop = asyncio.get_running_loop()
        for window in self._schedule.windows:
            if window.fault is Fault.REFUSED:
                port = self._ports[window.domain]
                from_now_s = at - time.monotonic()
                loop.call_later(from_now_s + window.begin_s, port.refuse)
                loop.call_later(from_now_s + window.end_s, self._reopen, port)

    def _reopen(self, port: Port) -> None:
        self._opening = asyncio.create_task(port.open(), name=f"open {port.number} again")


async def serve(schedule: Schedule, ports: list[int], untouched: int) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await FakeAzure(schedule, ports, untouched).open()
    await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.faults.azure", description=__doc__)
    parser.add_argument("--mix", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--length", type=float, required=True, help="of the run, in seconds")
    parser.add_argument("--drill", action="store_true")
    parser.add_argument("--domains", type=int, nargs=2, required=True, help="ports of A and B")
    parser.add_argument("--untouched", type=int, required=True, help="the port that no fault touches")
    given = parser.parse_args()
    schedule = Schedule(mix_named(given.mix), given.seed, given.length, given.drill)
    uvloop.run(serve(schedule, given.domains, given.untouched))


if __name__ == "__main__":
    main()
