"""One real call without a browser: offer, channel, an answer heard, hang up.

Imports aiortc, which only development installs: import this module where a call is made, not before.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import AudioStreamTrack

from broker.minting.outcomes import EphemeralToken
from broker.probing.report import CallReport
from broker.upstream import NoAnswer, Upstream

OFFER_S = 10.0
CHANNEL_S = 10.0
ANSWER_S = 20.0
REFUSES_TO_SPEAK = "connected, but the model refuses to speak: look at the deployment's token quota"
TRANSCRIPT = "response.output_audio_transcript.done"


class BrokenOff(Exception):
    """The call ended before its time. The message says what to do."""


@dataclass(slots=True)
class Timeline:
    """How long each step took, in milliseconds."""

    ms: dict[str, int] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    def reached(self, step: str) -> None:
        now = time.monotonic()
        self.ms[step] = round((now - self.since) * 1000)
        self.since = now


async def complete_call(
    upstream: Upstream, token: EphemeralToken, credential: Mapping[str, str], row: str
) -> CallReport:
    """One call from offer to hanging up; a report in any case. ``credential`` proves that we may hang up."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    timeline, location = Timeline(), ""
    try:
        channel = _Channel(peer.createDataChannel("realtime-channel"))
        peer.addTrack(AudioStreamTrack())  # silence: Azure wants a microphone
        location = await _connect(peer, upstream, token)
        timeline.reached("offer")
        await channel.opened(urlsplit(token.calls_url).hostname or "")
        timeline.reached("channel")
        words = len((await channel.answer(token.session_update)).split())
        timeline.reached("answer")
        await _hang_up(upstream, token, credential, location)
        timeline.reached("hang up")
        return CallReport(True, row, timeline.ms, words)
    except BrokenOff as exc:
        if location:
            await _hang_up(upstream, token, credential, location)
        return CallReport(False, row, timeline.ms, advice=str(exc))
    finally:
        await peer.close()


async def _connect(peer: RTCPeerConnection, upstream: Upstream, token: EphemeralToken) -> str:
    """Exchanges the descriptions; where the call can be hung up, when Azure says so."""
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Authorization": f"Bearer {token.value}", "Content-Type": "application/sdp"}
    try:
        offer = peer.localDescription.sdp.encode()
        answer = await upstream.ask("POST", token.calls_url, headers, offer)
    except NoAnswer as exc:
        raise BrokenOff(
            "no answer to the offer: the call's address cannot be reached as the mint's was"
        ) from exc
    if answer.status in {401, 403}:
        text = "a fresh token is refused: a gateway that replaces Authorization on /calls, or a wrong clock"
        raise BrokenOff(text)
    if not answer.is_success:
        raise BrokenOff(
            f"the offer is refused with HTTP {answer.status}: is a gateway changing it on its way?"
        )
    try:
        await peer.setRemoteDescription(RTCSessionDescription(_sdp(answer.body), "answer"))
    except (ValueError, InvalidStateError) as exc:
        raise BrokenOff("the answer to the offer is no SDP: something answers in Azure's place") from exc
    return str(answer.headers.get("location", "")).rstrip("/").rpartition("/")[2]


def _sdp(body: bytes) -> str:
    """Raises ValueError for what does not even begin like SDP: aiortc is not made for nonsense."""
    text = body.decode()
    if not text.startswith("v=0"):
        raise ValueError("no SDP")
    return text


async def _hang_up(
    upstream: Upstream, token: EphemeralToken, credential: Mapping[str, str], call_id: str
) -> None:
    """Ends the call on Azure's side, so that it costs nothing more; if that fails, closing ours must do."""
    if not call_id.startswith("rtc_"):
        return
    calls = urlsplit(token.calls_url)._replace(query="").geturl()
    hang_up = f"{calls}/{quote(call_id, safe='')}/hangup"
    try:
        await upstream.ask("POST", hang_up, credential, b"")
    except NoAnswer:
        return


class _Channel:
    """The events of a call, as they come."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self._open = asyncio.Event()
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        channel.on("open", self._open.set)
        channel.on("message", self._arrived)
        channel.on("close", lambda: self._events.put_nowait({"type": "closed"}))

    async def opened(self, host: str) -> None:
        try:
            async with asyncio.timeout(CHANNEL_S):
                await self._open.wait()
        except TimeoutError as exc:
            text = f"no media connection to {host}: allow UDP and TCP 3478 to the tag AzureCloud.<region>"
            raise BrokenOff(text) from exc

    async def answer(self, session_update: Mapping[str, Any] | None) -> str:
        """Asks the model to speak; what it said."""
        if session_update is not None:
            self._channel.send(json.dumps(session_update))
        self._channel.send(json.dumps({"type": "response.create"}))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._transcript()
        except TimeoutError as exc:
            text = f"connected, but no word within {ANSWER_S:.0f} s: look at the deployment's token quota"
            raise BrokenOff(text) from exc

    async def _transcript(self) -> str:
        while True:
            event = await self._events.get()
            match event.get("type"):
                case "closed":
                    raise BrokenOff("Azure closed the call before it spoke: look at the deployment's quota")
                case "error":
                    raise BrokenOff(REFUSES_TO_SPEAK)
                case "response.done" if (event.get("response") or {}).get("status") == "failed":
                    raise BrokenOff(REFUSES_TO_SPEAK)
                case kind if kind == TRANSCRIPT and event.get("transcript"):
                    return str(event["transcript"])

    def _arrived(self, message: str | bytes) -> None:
        try:
            event = json.loads(message)
        except ValueError:
            return
        if isinstance(event, dict):
            self._events.put_nowait(event)
