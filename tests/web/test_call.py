"""Calls in a real browser: a microphone stream, WebRTC, speech both ways, and what is remembered of it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from playwright.async_api import expect

from tests.waiting import until
from tests.web.person import TURN_S

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUIET = {"ENABLE_PROACTIVE_GREETING": "false"}
UNHURRIED = {"AZURE_VOICELIVE_MODEL": "gpt-realtime"}

# How much of the answer the browser really played, in WebRTC's own count; the silence between has none.
HEARD = """async () => {
  const speaker = document.querySelector("#speaker");
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(speaker.srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  for (let tries = 0; tries < 400; tries++) {
    analyser.getFloatTimeDomainData(samples);
    if (Math.max(...samples.map(Math.abs)) > 0.01) return true;
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
  return false;
}"""


async def test_a_spoken_sentence_is_answered_aloud_written_down_and_remembered(open_page, broker_for):
    person = await open_page(await broker_for(WEBRTC_FILTER="true", **UNHURRIED, **QUIET), microphone="paris")
    await person.start()
    await person.is_in("speaking")
    assert await person.page.evaluate(HEARD)
    await person.sees_turns(2)

    shown = await person.transcript()
    episode = await person.remembered(2)

    assert [speaker for speaker, _ in shown] == ["user", "assistant"]
    assert "paris" in shown[0][1].lower()
    assert "paris" in shown[1][1].lower()
    assert [(line["role"], line["content"]) for line in episode] == shown_as_list(shown)
    assert all(line["agent_id"] == "elena" for line in episode)


def shown_as_list(shown):
    return [(speaker, text) for speaker, text in shown]


async def test_after_a_reload_the_conversation_is_there_and_goes_on_in_the_same_session(open_page):
    person = await open_page()
    await person.write("My sister is called Ada")
    await person.sees_turns(2)
    await person.remembered(2)
    before = await person.session_id()

    await person.page.reload()

    await expect(person.page.locator("#earlier")).to_contain_text("My sister is called Ada")
    await person.write("And she plays chess")
    await person.sees_turns(2)
    assert await person.session_id() == before
    assert [line["content"] for line in await person.remembered(4)][::2] == [
        "My sister is called Ada",
        "And she plays chess",
    ]


async def test_the_next_conversation_knows_what_was_said_in_the_last(open_page):
    first = await open_page()
    await first.write("I keep bees on my roof")
    await first.sees_turns(2)
    await first.remembered(2)

    second = await open_page()
    await second.write("What do you remember?")
    await second.sees_turns(2)

    assert await second.session_id() != await first.session_id()
    assert "bees" in (await second.transcript())[1][1]


async def test_speaking_and_writing_make_one_conversation_in_order(open_page):
    person = await open_page(speaks=True)
    await person.start()
    await person.sees_turns(1)  # the greeting
    await person.is_in("listening")
    await person.speak("weather")
    await person.sees_turns(3)
    await person.write("My train leaves at noon")
    await person.sees_turns(5)
    await person.end()

    episode = await person.remembered(5)
    assert [line["role"] for line in episode] == ["assistant", "user", "assistant", "user", "assistant"]
    assert "weather" in episode[1]["content"].lower()
    assert episode[3]["content"] == "My train leaves at noon"
    assert len({line["turn_id"] for line in episode}) == 5


async def test_with_and_without_azure_s_filter_the_transcript_is_the_same(open_page, broker_for):
    transcripts = []
    for filtered in ("true", "false"):
        person = await open_page(await broker_for(WEBRTC_FILTER=filtered, **QUIET))
        await person.write("My sister is called Ada")
        await person.sees_turns(2)
        transcripts.append(await person.transcript())
    assert transcripts[0] == transcripts[1]


async def test_writing_works_without_ever_asking_for_a_microphone(open_page):
    person = await open_page(speaks=True)
    await person.write("Good morning")
    await person.sees_turns(2)
    assert await person.page.evaluate("window.asked") == 0
    assert [line["role"] for line in await person.remembered(2)] == ["user", "assistant"]


async def test_the_microphone_is_asked_for_before_the_token_and_turned_off_at_the_end(open_page):
    person = await open_page(speaks=True)
    order = await person.page.evaluate_handle("window.order = []")
    await person.page.evaluate(
        """() => {
          const ask = navigator.mediaDevices.getUserMedia;
          navigator.mediaDevices.getUserMedia = async (wish) => {
            window.order.push("microphone");
            return (window.stream = await ask(wish));
          };
          const fetching = window.fetch;
          window.fetch = (...wish) => {
            window.order.push(new URL(wish[0], location.href).pathname);
            return fetching(...wish);
          };
        }"""
    )
    await person.start()
    await person.is_in("listening", "speaking")
    await person.end()
    assert (await order.json_value())[:3] == ["microphone", "/realtime/token", "/openai/v1/realtime/calls"]
    assert await person.page.evaluate("window.stream.getTracks()[0].readyState") == "ended"


async def test_speaking_over_the_answer_stops_it_and_both_are_kept(open_page, broker_for):
    person = await open_page(await broker_for(**UNHURRIED), speaks=True)
    await person.start()
    await person.is_in("speaking")
    await person.speak("weather")
    await person.sees_turns(3)
    await person.end()
    episode = await person.remembered(3)
    assert [line["role"] for line in episode] == ["assistant", "user", "assistant"]
    assert episode[0]["interrupted"] is True
    assert episode[2]["interrupted"] is False


OLDER_PAGE = """async ({broker, enrichment, text}) => {
  const session_id = crypto.randomUUID();
  const post = (url, body) => fetch(url, {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  const minting = await post(`${broker}/api/v1/voice/realtime/token`, {agent_id: "elena", session_id});
  const token = await minting.json();
  const peer = new RTCPeerConnection();
  peer.addTransceiver("audio", {direction: "recvonly"});
  const channel = peer.createDataChannel("realtime-channel");
  const answered = new Promise((resolve) => channel.addEventListener("message", ({data}) => {
    const event = JSON.parse(data);
    if (event.type === "response.output_audio_transcript.done") resolve(event.transcript);
  }));
  await peer.setLocalDescription(await peer.createOffer());
  const answer = await fetch(`${token.endpoint}/openai/v1/realtime/calls?webrtcfilter=on`, {
    method: "POST", body: peer.localDescription.sdp,
    headers: {Authorization: `Bearer ${token.token}`, "Content-Type": "application/sdp"}});
  await peer.setRemoteDescription({type: "answer", sdp: await answer.text()});
  await new Promise((resolve) => channel.addEventListener("open", resolve));
  const item = {type: "message", role: "user", content: [{type: "input_text", text}]};
  channel.send(JSON.stringify({type: "conversation.item.create", item}));
  channel.send(JSON.stringify({type: "response.create"}));
  const reply = await answered;
  const statuses = [];
  for (const [speaker, said] of [["user", text], ["assistant", reply]]) {
    const turn = {text: said, session_id, speaker, agent_id: "elena", channel: "voice"};
    statuses.push((await post(`${enrichment}/api/v1/memory/enrich`, turn)).status);
  }
  peer.close();
  return {session_id, reply, statuses, sdp: answer.status, expires_at: token.expires_at};
}"""


async def test_a_page_that_knows_only_the_older_contract_works_unchanged(open_page, system):
    person = await open_page()
    urls = {"broker": system["broker"].url, "enrichment": system["enrichment"].url, "text": "Good morning"}
    async with asyncio.timeout(TURN_S):
        outcome = await person.page.evaluate(OLDER_PAGE, urls)

    assert outcome["sdp"] == 201
    assert outcome["statuses"] == [202, 202]
    assert isinstance(outcome["expires_at"], int)

    async def both():
        lines = await person.episode(outcome["session_id"])
        return lines if sum(line["delivered"] for line in lines) == 2 else None

    lines = await until(both)
    assert [line["content"] for line in lines] == ["Good morning", outcome["reply"]]


async def test_no_secret_stays_in_the_page(open_page, system):
    person = await open_page()
    async with person.page.expect_response("**/realtime/token") as waiting:
        await person.write("Good morning")
    token = (await (await waiting.value).json())["token"]
    await person.sees_turns(2)
    content = await person.page.content()
    stored = await person.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert token not in content + stored
    async with httpx.AsyncClient() as http:
        assert token not in (await http.get(f"{system['broker'].url}/status")).text
