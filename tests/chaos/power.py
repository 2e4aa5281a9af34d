"""Power cuts: the real outbox and the real delivery on a disk that forgets what was not synced.

One run is one cut at a moment that the seed decides, then a start with what was left on the disk, the rest of
every conversation, and the check. Memory is elsewhere and keeps its power.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import cast

import apsw

from broker.edge.grants import GrantSigner
from enrichment.delivery import Delivery
from enrichment.memory.port import Memory
from enrichment.outbox.port import LEASE_S, StorageFailed
from enrichment.outbox.sqlite import SqliteOutbox
from enrichment.turns import BATCH, Turn, from_batch
from tests.chaos.checker import Kept, Verdict, check
from tests.chaos.disks import Power, PoweredDisk, under_sqlite
from tests.chaos.history import Conversations, History, Session

SESSIONS, TURNS = 6, 20  # side by side in one run
LATEST_CUT = 300  # changes and syncs: about as many as a run makes
RUN_S = 20.0


class Recording:
    """The part of a `Memory` that delivery uses: keeps each turn once, in the order in which it came."""

    name = "recording"

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], Kept] = {}

    async def remember(self, person: str, session_id: str, turns: Sequence[Turn]) -> None:
        await asyncio.sleep(0)
        for turn in turns:
            key = (person, session_id, turn.turn_id)
            self.kept.setdefault(key, Kept(person, session_id, turn.turn_id, turn.text))


class Run:
    """One cut: who speaks, what is remembered, and where the power goes."""

    def __init__(self, path: Path, seed: str, signer: GrantSigner) -> None:
        self._path = path
        self._rng = random.Random(seed)
        self._said = list(
            islice(Conversations("cut", self._rng.randrange(2**32), signer, turns=TURNS), SESSIONS)
        )
        self._waiting = {session.session_id: list(session.parcels()) for session in self._said}
        self._memory = Recording()
        self.history = History()
        for session in self._said:
            self.history.add(session)

    async def verdict(self) -> Verdict:
        """Speak until the power is cut, then start again and bring everything to its end."""
        power = Power(self._rng.randrange(1, LATEST_CUT))
        with under_sqlite(PoweredDisk(power), "powered"):
            await self._speak_until(power)
        power.forget(self._rng)
        self._path.with_name(f"{self._path.name}-shm").unlink(missing_ok=True)  # was only in RAM
        self._refuse_damage()
        # The clock goes on meanwhile, so that no lease of the dead is left.
        outbox = SqliteOutbox(self._path, now=lambda: time.time() + 2 * LEASE_S)
        try:
            await self._speak(outbox)
            await self._deliver_all(outbox)
        finally:
            await outbox.close()
        return check(self.history, list(self._memory.kept.values()))

    async def _speak_until(self, power: Power) -> None:
        try:
            outbox = SqliteOutbox(self._path)
        except apsw.Error:  # cut before the tables were made
            return
        delivering = asyncio.create_task(self._delivery(outbox).run())
        await self._speak(outbox)
        delivering.cancel()
        await asyncio.wait([delivering])
        power.cut()  # who had all said earlier is cut off from an orderly end
        with suppress(apsw.Error):  # the last checkpoint finds no power
            await outbox.close()

    async def _speak(self, outbox: SqliteOutbox) -> None:
        async with asyncio.timeout(RUN_S):
            await asyncio.gather(*(self._tell(outbox, session) for session in self._said))

    async def _tell(self, outbox: SqliteOutbox, session: Session) -> None:
        """Post what was not answered yet, until the first post that cannot be kept."""
        parcels = self._waiting[session.session_id]
        with suppress(StorageFailed):
            while parcels:
                self.history.send(session, parcels[0])
                turns = from_batch(BATCH.validate_json(session.body(parcels[0]))).turns
                answer = await outbox.accept(session.person, session.session_id, turns)
                self.history.ack(session.session_id, [*answer.accepted, *answer.duplicate])
                parcels.pop(0)

    def _delivery(self, outbox: SqliteOutbox) -> Delivery:
        return Delivery(outbox, cast(Memory, self._memory))  # the rest of it is never asked

    async def _deliver_all(self, outbox: SqliteOutbox) -> None:
        delivery = self._delivery(outbox)
        async with asyncio.timeout(RUN_S):
            while await delivery.deliver_one():
                pass

    def _refuse_damage(self) -> None:
        connection = apsw.Connection(str(self._path))
        try:
            found = connection.execute("PRAGMA integrity_check").get
        finally:
            connection.close()
        if found != "ok":
            raise RuntimeError(f"the file is damaged: {found}")


async def cut(seed: str, signer: GrantSigner) -> Verdict:
    """What one cut did."""
    with tempfile.TemporaryDirectory() as folder:
        return await Run(Path(folder) / "outbox.db", seed, signer).verdict()
