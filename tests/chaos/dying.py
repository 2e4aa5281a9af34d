"""Scenarios in which our own process, its disk or its power goes away."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from enrichment.outbox.port import LEASE_S
from tests.chaos.browsers import Crowd, kept, speaking
from tests.chaos.checker import Verdict, check
from tests.chaos.history import Conversations, History
from tests.chaos.outcome import Ground, Outcome, at_least
from tests.chaos.power import cut
from tests.chaos.system import System, opened

DRAIN_S = 120.0


def crowd_of(
    system: System, ground: Ground, name: str, history: History | None = None, **how: object
) -> Crowd:
    """32 browsers that go on until the scenario says that it is enough, or until so many turns are kept."""
    history = history or History()
    usual = {"enough": lambda: len(history.acked) >= ground.size.turns, "pause_s": ground.size.pause_s} | how
    said = Conversations(name, ground.seed, system.signer)
    return Crowd(system.ports, said, history, seed=ground.seed, **usual)  # type: ignore[arg-type]


def lease_options(ground: Ground) -> list[str]:
    return ["--lease", str(ground.size.lease_s)] if ground.size.lease_s else []


def drain_s(ground: Ground) -> float:
    """How long the end may take: leases of the dead run out first."""
    return DRAIN_S + (ground.size.lease_s or LEASE_S)


async def killed(ground: Ground) -> Outcome:
    """``kill -9`` again and again under load; the memory is the embedded one, which dies with it."""
    system = System(ground.folder, ground.database_url, lease_options(ground))
    rng = random.Random(ground.seed)
    finished = asyncio.Event()
    async with opened(system):
        crowd = crowd_of(system, ground, "killed", enough=finished.is_set)
        async with speaking(crowd):
            for _ in range(ground.size.kills):
                await asyncio.sleep(rng.uniform(0.2, 1.5))
                await system.running[0].kill()
                await system.restart(0)
            await asyncio.sleep(1.0)
            finished.set()
        drained_s = await system.drained(drain_s(ground))
        broken = crowd.answers[0]
    happened = {
        "kills": ground.size.kills,
        "posts without an answer": broken,
        "longest silence s": round(crowd.silence_s, 1),
        "drained s": round(drained_s, 1),
    }
    bars = [at_least("kill -9: posts that were cut off", broken, ground.size.kills)]
    return Outcome(check(crowd.history, system.remembered()), happened, bars)


async def power_cut(ground: Ground) -> Outcome:
    """Cut after cut, each on a disk of its own."""
    signer = GrantSigner(Ed25519PrivateKey.generate(), environment="development")
    total: Counter[str] = Counter()
    for number in range(ground.size.cuts):
        total.update(asdict(await cut(f"{ground.seed} {number}", signer)))
    return Outcome(
        Verdict(**{name: total[name] for name in Verdict.__dataclass_fields__}), {"cuts": number + 1}
    )


async def disk_full(ground: Ground) -> Outcome:
    """Outbox and memory on one disk that fills up under load and has room again, without a restart."""
    full = ground.folder / "full"
    system = System(ground.folder, options=[*lease_options(ground), "--full", str(full)])
    finished = asyncio.Event()
    async with opened(system):
        crowd = crowd_of(system, ground, "full", enough=finished.is_set)
        async with speaking(crowd):
            await kept(crowd, ground.size.turns // (ground.size.fills + 1))
            for _ in range(ground.size.fills):
                await _fill(full, crowd)
            await kept(crowd, ground.size.turns)
            finished.set()
        await system.drained(drain_s(ground))
        refused = crowd.answers[503]
    bars = [at_least("disk full: posts refused with 503", refused, ground.size.fills)]
    return Outcome(
        check(crowd.history, system.remembered()), {"fills": ground.size.fills, "refused": refused}, bars
    )


async def _fill(full: Path, crowd: Crowd) -> None:
    """Full until somebody is refused and for a second longer; then until somebody is kept again."""
    refused = crowd.answers[503]
    full.touch()  # noqa: ASYNC240 - as short as a signal
    while crowd.answers[503] == refused:
        await asyncio.sleep(0.02)
    await asyncio.sleep(1.0)
    full.unlink()  # noqa: ASYNC240
    await kept(crowd, len(crowd.history.acked) + 100)


async def frozen(ground: Ground) -> Outcome:
    """Deliveries that stand still past their lease, and now and then the whole process (SIGSTOP)."""
    lease_s = ground.size.lease_s or 3.0  # the real one would be waited for half a minute each time
    options = ["--lease", str(lease_s), "--frozen", str(ground.size.frozen)]
    replicas = 2 if ground.database_url else 1  # another one takes over, where there can be one
    system = System(ground.folder, ground.database_url, options, replicas)
    async with opened(system, recorder_seed=ground.seed):
        assert system.recorder
        await system.recorder.told(slow_s=0.01)
        crowd = crowd_of(system, ground, "frozen")
        async with speaking(crowd):
            for _ in range(ground.size.freezes):
                await asyncio.sleep(1.0)
                system.running[0].process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(lease_s + 1)
                system.running[0].process.send_signal(signal.SIGCONT)
        await system.drained(drain_s(ground))
        repeated = (await system.recorder.told())["repeated"]
    happened = {"freezes": ground.size.freezes, "delivered again": repeated}
    bars = [at_least("frozen: turns that a frozen worker delivered once more", repeated, 1)]
    return Outcome(check(crowd.history, system.remembered()), happened, bars)
