"""The audio track of the simulated model: Opus packets in real time, silence when it has nothing to say."""

from __future__ import annotations

import asyncio
from collections import deque
from fractions import Fraction

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet
from av.stream import Stream

from tests.simulator.speech import PACKET_SAMPLES, SPOKEN_HZ

PACKET_MS = 20
SILENCE = b"\xf8\xff\xfe"  # 20 ms of Opus silence, RFC 6716: one full-band mono frame with nothing in it
MOST_BEHIND_S = 0.2  # a loop that was stalled longer does not hurry to catch up


class Voice(MediaStreamTrack):
    """Speaks what is put into it. Packets are encoded elsewhere, so a call costs almost no processor time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: deque[bytes] = deque()
        self._played = 0
        self._silent = asyncio.Event()
        self._silent.set()
        self._sent = 0
        self._next_at: float | None = None  # loop time of the next packet

    def play(self, packets: list[bytes]) -> None:
        self._packets.extend(packets)
        self._played = 0
        self._silent.clear()

    def clear(self) -> None:
        """Drop what was not yet heard."""
        self._packets.clear()
        self._silent.set()

    def played_ms(self) -> int:
        """How much was heard since the last `play`."""
        return self._played * PACKET_MS

    async def drained(self) -> None:
        """Wait until everything was heard, or as long as that can take when nobody fetches the audio."""
        try:
            async with asyncio.timeout(len(self._packets) * PACKET_MS / 1000 + 2):
                await self._silent.wait()
        except TimeoutError:
            self.clear()

    async def recv(self) -> Packet[Stream]:
        if self.readyState != "live":
            raise MediaStreamError
        await self._pace()
        packet = Packet(self._next_payload())
        packet.pts, packet.time_base = self._sent * PACKET_SAMPLES, Fraction(1, SPOKEN_HZ)
        self._sent += 1
        return packet

    async def _pace(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._next_at is None or now - self._next_at > MOST_BEHIND_S:
            self._next_at = now
        await asyncio.sleep(self._next_at - now)
        self._next_at += PACKET_MS / 1000

    def _next_payload(self) -> bytes:
        if not self._packets:
            self._silent.set()
            return SILENCE
        self._played += 1
        return self._packets.popleft()
