"""One WebRTC call: a peer connection, a data channel, ears and a voice around a `Conversation`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame

from tests.simulator.conversation import Commit, Conversation, Hush, Output, Say, Transcribe, random_id
from tests.simulator.events import Event
from tests.simulator.hearing import Hearing, Started, Stopped
from tests.simulator.session_rules import at
from tests.simulator.speech import Speech, SpeechFailed
from tests.simulator.tokens import Pass
from tests.simulator.voice import PACKET_MS, Voice

# Source: https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc (checked 2026-11-20)
VISIBLE_WITH_FILTER = frozenset(
    {
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.added",
        "conversation.item.created",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }
)
CONNECT_WITHIN_S = 20.0
CLOSE_WITHIN_S = 5.0
AHEAD = 2.0  # text is generated so many times faster than it is spoken
WRITING_PAUSE_S = 0.03  # between two words of a written answer


class OfferRefused(Exception):
    """The offer is not an SDP that can be answered."""


class Call:
    """A call from its offer until somebody hangs up. ``mirrors`` get every event, filtered or not."""

    def __init__(self, token: Pass, speech: Speech, *, filtered: bool) -> None:
        self.id = random_id("rtc")
        self.mirrors: set[Callable[[str], None]] = set()
        self._scenario = token.scenario
        self._speech = speech
        self._filtered = filtered
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[])
        )  # the default asks a public STUN server
        self._channel: RTCDataChannel | None = None
        self._open = asyncio.Event()
        self._over = asyncio.Event()
        self._messages: asyncio.Queue[str] = asyncio.Queue()
        self._microphones: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        self._tasks: asyncio.TaskGroup | None = None
        self._saying: set[asyncio.Task[None]] = set()
        self._mouth = asyncio.Lock()  # one answer is spoken after the other
        self._voice = Voice()
        self._ears = Hearing()
        self._conversation = Conversation(token.session, token.scenario, played_ms=self._voice.played_ms)

    async def answer(self, offer: str) -> str:
        """The SDP answer. Raises `OfferRefused`."""
        self._peer.on("datachannel", self._channel_opened)
        self._peer.on("track", self._microphones.put_nowait)
        self._peer.on("connectionstatechange", self._connection_changed)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(resolved(offer), "offer"))
            if any(transceiver.kind == "audio" for transceiver in self._peer.getTransceivers()):
                self._peer.addTrack(self._voice)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as exc:  # aiortc has no error for a bad SDP: six kinds were seen, assertions too
            with suppress(AttributeError):  # aiortc 1.16 cannot quite close a peer that has no transports yet
                await self._peer.close()
            raise OfferRefused(type(exc).__name__) from exc
        return self._peer.localDescription.sdp

    async def run(self) -> None:
        """Hold the call until it is over. A failure in any of its tasks ends it."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                parts = (self._warm_up(), self._listen(), self._hear(), self._live())
                work = [self._start(part) for part in parts]
                await self._over.wait()
                for task in {*work, *self._saying}:
                    task.cancel()
        finally:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._peer.close()

    def hang_up(self) -> None:
        self._over.set()

    async def ended(self) -> None:
        await self._over.wait()

    def receive(self, message: str) -> None:
        """A client event, from the data channel or from a side-band."""
        self._messages.put_nowait(message)

    def session_created(self) -> str:
        """What a side-band hears first, whenever it comes."""
        return stamped(*self._conversation.opened())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._tasks is not None
        return self._tasks.create_task(work, name=self.id)  # its repr names the coroutine

    async def _warm_up(self) -> None:
        with suppress(SpeechFailed):
            await self._speech.warm_up()

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        channel.on("message", lambda message: self.receive(message if isinstance(message, str) else ""))
        channel.on("close", self.hang_up)
        self._open.set()

    def _connection_changed(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self.hang_up()

    async def _live(self) -> None:
        """Open, and end when the scenario or the clock says so."""
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await self._open.wait()
        except TimeoutError:
            self.hang_up()
            return
        self._perform(self._conversation.opened())
        early, longest = self._scenario.channel_closes_after_s, self._scenario.max_session_s
        await asyncio.sleep(longest if early is None else early)
        if early is None:
            self._perform(self._conversation.expired())
        await self._close_channel()
        self.hang_up()

    async def _close_channel(self) -> None:
        """Close the channel and let the goodbye leave before the peer connection goes."""
        assert self._channel is not None
        self._channel.close()
        await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        await self._open.wait()
        while True:
            self._perform(self._conversation.client(await self._messages.get()))

    async def _hear(self) -> None:
        microphone = await self._microphones.get()
        while True:
            try:
                frame = await microphone.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame)  # aiortc decodes what it receives
            detection = at(self._conversation.session, "audio.input.turn_detection")
            for happened in self._ears.hear(frame, detection):
                self._perform(self._heard(happened))

    def _heard(self, happened: Started | Stopped) -> list[Output]:
        if isinstance(happened, Started):
            return self._conversation.speech_started(happened.at_ms)
        return self._conversation.speech_stopped(happened.at_ms, happened.samples)

    def _perform(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Transcribe():
                    self._start(self._transcribe(output))
                case Say():
                    saying = self._start(self._say(output))
                    self._saying.add(saying)
                    saying.add_done_callback(self._saying.discard)
                case Hush():
                    self._hush()
                case Commit():
                    self._perform(self._conversation.committed(self._ears.cut()))
                case event:
                    self._send(event)

    def _hush(self) -> None:
        for saying in self._saying:
            saying.cancel()
        self._voice.clear()

    def _send(self, event: Event) -> None:
        text = stamped(event)
        for mirror in self.mirrors:
            mirror(text)
        visible = not self._filtered or event["type"] in VISIBLE_WITH_FILTER
        if visible and self._channel is not None and self._channel.readyState == "open":
            self._channel.send(text)

    async def _transcribe(self, wish: Transcribe) -> None:
        try:
            words = await self._speech.transcribe(wish.samples)
        except SpeechFailed:
            self._perform(self._conversation.untranscribable(wish.item_id))
        else:
            self._perform(self._conversation.transcribed(wish.item_id, sentence(words)))

    async def _say(self, wish: Say) -> None:
        async with self._mouth:
            words, pause_s = re.findall(r"\S+\s*", wish.text), WRITING_PAUSE_S
            if wish.audible:
                packets = await self._speech.speak(wish.text, wish.voice, self._scenario.words_a_minute)
                self._voice.play(packets)
                self._perform(self._conversation.audible(wish.response_id))
                pause_s = len(packets) * PACKET_MS / 1000 / AHEAD / len(words)
            for word in words:
                self._perform(self._conversation.said(wish.response_id, word))
                await asyncio.sleep(pause_s)
            self._perform(self._conversation.finished(wish.response_id))
            await self._voice.drained()
            self._perform(self._conversation.drained(wish.response_id))


def stamped(event: Event) -> str:
    return json.dumps({"type": event["type"], "event_id": random_id("event")} | event)


def sentence(words: str) -> str:
    """The recogniser's lower-case words as a person would write them, without inventing punctuation."""
    text = re.sub(r"\bi\b", "I", words)
    return text[:1].upper() + text[1:]


def resolved(offer: str) -> str:
    """The offer with mDNS names replaced by this machine.

    A browser without a microphone grant hides its addresses behind ``<uuid>.local``. Looking them up costs a
    second and finds nothing here, and the browser is on this machine in every use of the simulator.
    """
    return re.sub(r"(?m)^(a=candidate:(?:\S+ ){4})\S+\.local ", r"\g<1>127.0.0.1 ", offer)
