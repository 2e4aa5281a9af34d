"""``python -m tests.bench.audit``: what being on record adds to a mint, in CPU and in time.

Callers open calls in this process; a fake chain gives the token, after as long as Azure may take. Rounds with
and without the audit take turns, and the medians of both are told. Files are synced for real.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.agents import load_agents
from broker.edge.audit.entries import Who
from broker.edge.audit.files import FileSink
from broker.edge.audit.recording import Audit
from broker.edge.audit.sealing import Head, Seal
from broker.edge.audit.writer import Writer
from broker.edge.callers import Caller, Proof
from broker.edge.grants import GrantSigner
from broker.edge.telemetry import configure_logging
from broker.minting.outcomes import EphemeralToken
from broker.opening import LiveSessions, Opening
from broker.recall import NoRecall
from broker.session import Transcription, TurnDetection

ROUNDS = 5
MINTS = 2_000
AZURE_S = 0.02
WHO = Who("tid:" + "0" * 36, "user", "entra", "192.0.2.0", "0" * 16, "0" * 32)
TOKEN = EphemeralToken(
    value="ek",
    expires_at=0,
    endpoint="https://r.example",
    calls_url="https://r.example/calls",
    model="gpt-realtime",
    strategy="direct",
    session_update=None,
)


class FakeChain:
    """Mints after as long as Azure may take."""

    async def mint(self, _spec):
        await asyncio.sleep(AZURE_S)
        return TOKEN


@dataclass(frozen=True)
class Cost:
    """Of one mint: CPU in µs, user and system, and how long it took in ms."""

    user_us: float
    system_us: float
    took_ms: float


def opening(audit):
    signer = GrantSigner(Ed25519PrivateKey.generate(), environment="development")
    return Opening(
        agents=load_agents(None),
        signer=signer,
        recall=NoRecall(),
        chain=FakeChain(),
        turn_detection=TurnDetection(),
        transcription=Transcription(),
        greeting=True,
        enrich_url="https://e.example/memory/enrich",
        live=LiveSessions(time.time),
        call_limit_s=1800,
        audit=audit,
    )


async def measured(audit, callers):
    """What one mint costs when so many callers come again and again."""
    opens, agent = opening(audit), load_agents(None)["elena"]
    took = []

    async def caller():
        for _ in range(MINTS // callers // (10 if callers == 1 else 1)):
            began = time.perf_counter()
            await opens.open(Caller("tid:alice", "user", Proof.ENTRA), agent, None, WHO)
            took.append(time.perf_counter() - began)

    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.gather(*(caller() for _ in range(callers)))
    after = resource.getrusage(resource.RUSAGE_SELF)
    count = len(took) / 1e6
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return Cost(user / count, system / count, statistics.median(took) * 1000)


@asynccontextmanager
async def on_record(folder):
    writer = Writer(FileSink(folder, "bench"), Seal(b"k" * 32), Head("bench"), {"action": "config.start"})
    yield Audit(writer)
    await writer.close()


async def compare(folder, callers):
    costs = {True: [], False: []}
    async with on_record(folder) as audit:
        for _ in range(ROUNDS):
            costs[False].append(await measured(Audit(), callers))
            costs[True].append(await measured(audit, callers))
    off, on = (
        [statistics.median(getattr(cost, name) for cost in costs[kind]) for name in Cost.__dataclass_fields__]
        for kind in (False, True)
    )
    user, system, took = (b - a for a, b in zip(off, on, strict=True))
    without = f"{off[0] + off[1]:.0f} µs of CPU and {off[2]:.1f} ms"
    print(
        f"{callers:>4} callers: a mint takes {without}; on record +{user:.0f} µs, "
        f"+{system:.0f} µs of the system (mostly syncing) and +{took:.1f} ms"
    )


async def main():
    configure_logging("ERROR")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for callers in (1, 32, 128):
            await compare(Path(folder) / str(callers), callers)


if __name__ == "__main__":
    asyncio.run(main())
