"""The browser's end of a call, in Python: a microphone, a data channel, and ears."""

import asyncio
import json
import wave
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame

from tests.simulated.routes import offered
from tests.simulated.talk import of_kind

AUDIO = Path(__file__).parent.parent / "audio"


class Microphone(MediaStreamTrack):
    """Silence, and what it is told to say, in real time: 48 kHz mono frames of 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self._samples = np.zeros(0, np.int16)
        self._sent, self._started_at = 0, None

    def say(self, name):
        with wave.open(str(AUDIO / f"{name}.wav")) as recording:
            samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
        self._samples = np.concatenate([self._samples, np.repeat(np.trim_zeros(samples, "f"), 3)])

    async def recv(self):
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self._started_at = self._started_at or loop.time()
        await asyncio.sleep(self._started_at + self._sent * 0.02 - loop.time())
        now, self._samples = self._samples[:960], self._samples[960:]
        frame = AudioFrame.from_ndarray(np.pad(now, (0, 960 - len(now))).reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._sent * 960, Fraction(1, 48_000)
        self._sent += 1
        return frame


class Caller:
    """Collects the events of a call and how loud it was, until it leaves."""

    def __init__(self, peer, channel, microphone):
        self.events, self.loudest = [], 0
        self.microphone, self.location = microphone, ""
        self._open, self.closed = asyncio.Event(), asyncio.Event()
        self._channel = channel
        self._arrived = asyncio.Condition()
        self._messages: asyncio.Queue[str] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._collect())]
        channel.on("message", self._messages.put_nowait)
        channel.on("close", self.closed.set)
        channel.on("open", self._open.set)
        peer.on("track", lambda track: self._tasks.append(asyncio.create_task(self._listen(track))))

    def send(self, **event):
        self._channel.send(json.dumps(event))

    async def until(self, kind, *, times=1, within=10):
        """The nth event of a kind, waited for."""
        async with asyncio.timeout(within), self._arrived:
            await self._arrived.wait_for(lambda: len(of_kind(self.events, kind)) >= times)
        return of_kind(self.events, kind)[times - 1]

    async def until_open(self):
        async with asyncio.timeout(10):
            await self._open.wait()

    async def leave(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _collect(self):
        while True:
            self.events.append(json.loads(await self._messages.get()))
            async with self._arrived:
                self._arrived.notify_all()

    async def _listen(self, track):
        while True:
            frame = await track.recv()
            self.loudest = max(self.loudest, int(np.abs(frame.to_ndarray()).max()))


@asynccontextmanager
async def call(azure, token, query="", *, microphone=True):
    """A call that the simulator has answered; closed when the block ends."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    mouth = Microphone()
    if microphone:
        peer.addTrack(mouth)
    else:
        peer.addTransceiver("audio", direction="recvonly")
    caller = Caller(peer, peer.createDataChannel("realtime-channel"), mouth)
    await peer.setLocalDescription(await peer.createOffer())
    reply = await offered(azure, token, peer.localDescription.sdp, query)
    assert reply.status_code == 201
    caller.location = reply.headers["location"]
    await peer.setRemoteDescription(RTCSessionDescription(reply.text, "answer"))
    try:
        yield caller
    finally:
        await caller.leave()
        await peer.close()
