"""The call: WebRTC to Azure, its end with a cause, and the microphone off after each."""

from __future__ import annotations

import asyncio

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALL = """async ({ token, withMicrophone }) => {
  const { RealtimeCall } = await import("/realtime-call.js");
  const { openMicrophone } = await import("/microphone.js");
  const microphone = withMicrophone ? await openMicrophone() : null;
  const speaker = document.querySelector("#speaker");
  const call = (window.call = new RealtimeCall(token, { microphone, speaker }));
  window.seen = { states: [], events: [], ended: [] };
  call.on("state", (state) => seen.states.push(state));
  call.on("event", (event) => seen.events.push(event));
  call.on("ended", (reason) => seen.ended.push(reason));
  window.track = microphone?.getAudioTracks()[0];
  return call.start().then(() => "live", (error) => error.reason);
}"""


async def test_a_call_goes_live_carries_events_both_ways_and_turns_the_microphone_off(blank, services):
    assert await blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": True}) == "live"
    await blank.evaluate("call.send({ type: 'response.create' })")
    await blank.evaluate("azure.say({ type: 'input_audio_buffer.speech_started', item_id: 'U1' })")
    await blank.evaluate("until(() => azure.heard.length && seen.events.length, 'events on both sides')")
    assert await blank.evaluate("track.readyState") == "live"
    await blank.evaluate("call.setMuted(true)")
    assert await blank.evaluate("track.enabled") is False

    await blank.evaluate("call.end()")

    assert await blank.evaluate("seen.states") == ["connecting", "live", "ended"]
    assert await blank.evaluate("[seen.ended, track.readyState]") == [["hung-up"], "ended"]
    assert await blank.evaluate("[azure.heard[0].type, azure.label]") == [
        "response.create",
        "realtime-channel",
    ]
    request = await blank.evaluate("azure.request")
    assert request["url"] == services.call_pass()["calls_url"]
    assert request["headers"] == {"Authorization": "Bearer ek_never_shown", "Content-Type": "application/sdp"}


async def test_a_call_without_a_microphone_only_listens(blank, services):
    assert await blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": False}) == "live"
    assert "a=recvonly" in await blank.evaluate("azure.offer")


async def test_a_refused_call_ends_with_its_cause_and_turns_the_microphone_off(blank, services):
    await blank.evaluate("azure.refuse = 401")
    assert await blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": True}) == "refused"
    assert await blank.evaluate("[seen.states, track.readyState]") == [["connecting", "ended"], "ended"]


async def test_a_call_to_nowhere_says_that_azure_is_unreachable(blank, services):
    token = services.call_pass() | {"calls_url": "http://127.0.0.1:9/"}
    await blank.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('Failed to fetch')) }")
    assert await blank.evaluate(CALL, {"token": token, "withMicrophone": True}) == "unreachable"
    assert await blank.evaluate("track.readyState") == "ended"


async def test_a_network_that_lets_no_call_out_is_told_apart_from_a_slow_azure(blank, services):
    await blank.evaluate(
        """() => {
          azure.dark = true;
          window.deadline = new AbortController();
          AbortSignal.timeout = () => deadline.signal;
        }"""
    )
    token = {"token": services.call_pass(), "withMicrophone": False}
    await blank.evaluate(f"(token) => {{ window.outcome = ({CALL})(token) }}", token)
    await blank.evaluate("until(() => window.call?.times.sdpMs, 'an answer')")
    await blank.evaluate("deadline.abort(new DOMException('too late', 'TimeoutError'))")
    assert await blank.evaluate("outcome") == "blocked"


async def test_ice_servers_of_the_broker_are_used(blank, services):
    await blank.evaluate(
        """() => {
          const Peer = window.RTCPeerConnection;
          window.RTCPeerConnection = class extends Peer {
            constructor(wish) { super(wish); window.wishes = [...(window.wishes ?? []), wish]; }
          };
        }"""
    )
    relay = {"urls": "turn:turn.example.org:443", "username": "u", "credential": "c"}
    token = services.call_pass() | {"ice_servers": [relay]}
    await blank.evaluate(CALL, {"token": token, "withMicrophone": False})
    assert await blank.evaluate("wishes[0]") == {"iceServers": [relay]}


async def test_hanging_up_while_connecting_ends_at_once(blank, services):
    await blank.evaluate("() => { azure.hold = new Promise(() => {}) }")
    outcome = blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": True})
    ending = blank.evaluate("until(() => window.azure.offer, 'the offer').then(() => call.end())")
    assert (await asyncio.gather(outcome, ending))[0] == "hung-up"
    assert await blank.evaluate("track.readyState") == "ended"


async def test_a_call_that_azure_closes_is_lost(blank, services):
    await blank.evaluate(CALL, {"token": services.call_pass(), "withMicrophone": True})
    await blank.evaluate("azure.peer.close()")
    await blank.evaluate("until(() => seen.ended.length, 'the end')")
    assert await blank.evaluate("[seen.ended, track.readyState]") == [["lost"], "ended"]


@pytest.mark.parametrize(
    ("thrown", "word"),
    [("NotAllowedError", "blocked"), ("NotFoundError", "missing"), ("NotReadableError", "busy")],
)
async def test_a_microphone_that_does_not_open_has_a_cause_in_one_word(blank, thrown, word):
    found = await blank.evaluate(
        """async (name) => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name));
          const { openMicrophone, MicrophoneError } = await import("/microphone.js");
          return openMicrophone().catch((error) => error instanceof MicrophoneError && error.word);
        }""",
        thrown,
    )
    assert found == word
