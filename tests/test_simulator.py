"""The simulator keeps the contract it claims, so that tests against it prove something about Azure."""

import asyncio
import json
import wave
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame
from hypothesis import given
from hypothesis import strategies as st

from tests.running import running
from tests.simulator.azure import create_app
from tests.simulator.call import VISIBLE_WITH_FILTER, resolved
from tests.simulator.conversation import Conversation, Hush, Say, Transcribe
from tests.simulator.replies import greeting, reply_to
from tests.simulator.scenarios import SCENARIOS, Scenario
from tests.simulator.session_rules import default_session, updated

KEY = {"api-key": "simulator-key"}
MINT = "/openai/v1/realtime/client_secrets"
CALLS = "/openai/v1/realtime/calls"
AUDIO = Path(__file__).parent / "audio"
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"

CLIENT_EVENTS = {
    "create": {"type": "response.create"},
    "cancel": {"type": "response.cancel"},
    "clear": {"type": "output_audio_buffer.clear"},
    "delete": {"type": "conversation.item.delete", "item_id": "item_4"},
    "write": {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}},
}


@pytest.fixture
async def azure():
    async with running(create_app(bearer="entra-token", slow_s=0.01, now=lambda: 1_790_000_000)) as client:
        yield client


def session(**fields):
    return {"session": {"type": "realtime", "model": "gpt-realtime", **fields}}


def voice(name):
    return session(audio={"output": {"voice": name}})


# The mint


async def test_a_minted_token_comes_with_its_effective_session(azure):
    body = session(instructions="You are Elena.") | {"expires_after": {"anchor": "created_at", "seconds": 90}}
    reply = await azure.post(MINT, headers=KEY, json=body)

    assert reply.status_code == 200
    minted = reply.json()
    assert minted["value"].startswith("ek_")
    assert len(minted["value"]) == len("ek_") + 32
    assert minted["expires_at"] == 1_790_000_090
    assert minted["session"]["object"] == "realtime.session"
    assert minted["session"]["instructions"] == "You are Elena."
    assert minted["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert {"apim-request-id", "x-request-id", "x-ms-region"} <= set(reply.headers)


async def test_a_token_lives_sixty_seconds_unless_asked_otherwise(azure):
    assert (await azure.post(MINT, headers=KEY, json=session())).json()["expires_at"] == 1_790_000_060


async def test_an_entra_token_mints_as_well_as_the_key(azure):
    reply = await azure.post(MINT, headers={"Authorization": "Bearer entra-token"}, json=session())
    assert reply.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"api-key": "wrong"}, {"Authorization": "Bearer wrong"}])
async def test_a_wrong_credential_is_refused_before_the_body_is_read(azure, headers):
    reply = await azure.post(MINT, headers=headers, content=b"not json")
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "401"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "gpt-realtime", "voice": "alloy"}, 400, "InvalidSessionType", "session.type"),
        ({"session": {"model": "gpt-realtime"}}, 400, "InvalidSessionType", "session.type"),
        (session(modalities=["audio"]), 400, "unknown_parameter", "session.modalities"),
        (session(voice="alloy", model="nobody"), 400, "unknown_parameter", "session.voice"),
        (session(model="nobody"), 404, "DeploymentNotFound", None),
        (session(model="GPT-realtime"), 404, "DeploymentNotFound", None),
        (session(model="gpt-realtime-deployment-not-found"), 404, "DeploymentNotFound", None),
        (session(model="gpt-4o"), 400, "OpperationNotSupported", None),
        (voice("en-US-Ava:DragonHDLatestNeural"), 400, "invalid_value", "session.audio.output.voice"),
        (session(output_modalities=["audio", "text"]), 400, "invalid_value", "session.output_modalities"),
        (
            session() | {"expires_after": {"seconds": 5}},
            400,
            "integer_below_min_value",
            "expires_after.seconds",
        ),
    ],
)
async def test_a_session_that_azure_would_not_accept_is_refused_in_its_words(
    azure, body, status, code, param
):
    reply = await azure.post(MINT, headers=KEY, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert reply.json()["error"].get("param") == param


async def test_a_refused_voice_names_the_voices_there_are(azure):
    message = (await azure.post(MINT, headers=KEY, json=voice("Ava"))).json()["error"]["message"]
    assert message.startswith("Invalid value: 'Ava'. Supported values are: 'alloy', 'ash',")
    assert message.endswith("'marin', and 'cedar'.")


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        (f"{MINT}?api-version=2025-08-28", 400, "BadRequest"),
        ("/openai/realtime/client_secrets?api-version=2025-08-28", 404, "404"),
        ("/openai/deployments/gpt-realtime/realtime/client_secrets", 404, "404"),
        ("/api/projects/p/openai/realtime/client_secrets", 404, "404"),
        ("/api/projects/p/openai/v1/realtime/client_secrets", 404, "404"),
    ],
)
async def test_routes_of_other_years_do_not_mint(azure, url, status, code):
    reply = await azure.post(url, headers=KEY, json=session())
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


# Scenarios of the mint


async def test_too_many_requests_say_when_to_come_back(azure):
    reply = await azure.post(MINT, headers=KEY, json=session(model="gpt-realtime-429"))
    assert reply.status_code == 429
    assert (reply.headers["retry-after-ms"], reply.headers["retry-after"]) == ("1000", "1")


async def test_a_transcription_block_alone_can_make_the_mint_fail(azure):
    transcribing = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    model = "gpt-realtime-500-with-transcription"
    with_block = await azure.post(MINT, headers=KEY, json=session(model=model, **transcribing))
    without = await azure.post(MINT, headers=KEY, json=session(model=model))
    assert (with_block.status_code, without.status_code) == (500, 200)


async def test_a_body_can_be_rubbish_with_status_200(azure):
    html = await azure.post(MINT, headers=KEY, json=session(model="gpt-realtime-html-body"))
    empty = await azure.post(MINT, headers=KEY, json=session(model="gpt-realtime-bad-body"))
    huge = await azure.post(MINT, headers=KEY, json=session(model="gpt-realtime-huge-body"))
    assert [html.status_code, empty.status_code, huge.status_code] == [200, 200, 200]
    assert html.headers["content-type"].startswith("text/html")
    assert "value" not in empty.json()
    assert len(huge.content) > 64 * 1024


async def test_every_other_scenario_mints(azure):
    refusing = {"429", "500", "bad-body", "html-body"}
    for name in SCENARIOS.keys() - refusing - {"happy"}:
        reply = await azure.post(MINT, headers=KEY, json=session(model=f"gpt-realtime-{name}"))
        assert reply.json()["value"], name


# The offer


@pytest.mark.parametrize(
    ("authorization", "said"),
    [(None, "required"), ("Bearer entra-token", "invalid"), ("Bearer ek_unknown", "invalid")],
)
async def test_only_an_ephemeral_token_opens_a_call(azure, authorization, said):
    headers = {"Content-Type": "application/sdp", "Origin": "https://page.example"}
    headers |= {"Authorization": authorization} if authorization else KEY
    reply = await azure.post(CALLS, headers=headers, content=OFFER)

    assert reply.status_code == 401
    assert reply.json()["error"]["message"] == f"Realtime session ephemeral token is {said}."
    assert reply.headers["access-control-allow-origin"] == "*"


async def test_an_expired_token_opens_nothing():
    clock = count(1_790_000_000, 100)
    async with running(create_app(now=lambda: next(clock))) as azure:
        token = (await azure.post(MINT, headers=KEY, json=session())).json()["value"]
        assert (await offered(azure, token)).status_code == 401


@pytest.mark.parametrize("token", ["ek_sim_sdp-refused", "ek_sim_happy", "ek_sim_late-user-transcript_7"])
async def test_an_offer_that_cannot_be_answered_is_refused(azure, token):
    reply = await offered(azure, token)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_offer")


async def test_a_call_takes_sdp_and_no_other_content(azure):
    headers = {"Authorization": "Bearer ek_sim_happy", "Content-Type": "application/json"}
    assert (await azure.post(CALLS, headers=headers, content=OFFER)).status_code == 400


async def test_any_origin_may_call_but_not_read_where_the_call_is(azure):
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    asked |= {"Access-Control-Request-Headers": "authorization,content-type"}
    reply = await azure.options(CALLS, headers=asked)

    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "access-control-expose-headers" not in reply.headers


async def test_nobody_hangs_up_a_call_that_is_not_there(azure):
    assert (await azure.post(f"{CALLS}/rtc_none/hangup", headers=KEY)).status_code == 404
    assert (await azure.post(f"{CALLS}/rtc_none/hangup")).status_code == 401


async def offered(azure, token):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    return await azure.post(CALLS, headers=headers, content=OFFER)


def test_a_hidden_address_of_a_browser_becomes_this_machine():
    line = "a=candidate:1 1 udp 2113937151 0bd1f2a4-aaaa.local 56789 typ host\r\n"
    assert resolved(line) == "a=candidate:1 1 udp 2113937151 127.0.0.1 56789 typ host\r\n"


# The conversation, without a call


def conversation(scenario="happy", *, first_words=True, played_ms=0, **change):
    numbers = count(1)
    return Conversation(
        updated(default_session(), {"type": "realtime", **change}),
        SCENARIOS.get(scenario, Scenario(scenario)),
        played_ms=lambda: played_ms,
        first_words=lambda: first_words,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
    )


def kinds(outputs):
    return [one["type"] if isinstance(one, dict) else type(one) for one in outputs]


def of_kind(outputs, kind):
    return [one for one in outputs if isinstance(one, dict) and one["type"] == kind]


def spoken(talk, text):
    """One utterance of the user, recognised as ``text``."""
    heard = [*talk.speech_started(100), *talk.speech_stopped(900, b"")]
    wish = next(one for one in heard if isinstance(one, Transcribe))
    return [*heard, *talk.transcribed(wish.item_id, text)]


def wished(outputs):
    return next(one for one in outputs if isinstance(one, Say))


def generated(talk, say, words=1):
    """The answer as far as ``words`` deltas, and its audio begun."""
    deltas = [talk.said(say.response_id, word) for word in say.text.split()[:words]]
    return [*talk.audible(say.response_id), *(event for delta in deltas for event in delta)]


def test_a_voice_turn_has_the_order_that_the_api_promises():
    talk = conversation()
    outputs = spoken(talk, "good morning")
    say = wished(outputs)
    outputs += [*generated(talk, say), *talk.finished(say.response_id), *talk.drained(say.response_id)]

    assert kinds(outputs) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.done",
        Transcribe,
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "conversation.item.created",
        "response.content_part.added",
        Say,
        "output_audio_buffer.started",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
        "output_audio_buffer.stopped",
    ]


def test_one_utterance_has_one_item_id_from_its_first_sound_on():
    outputs = spoken(conversation(), "good morning")
    ids = {one.get("item_id") for one in outputs if isinstance(one, dict) and "item_id" in one}
    user = of_kind(outputs, "conversation.item.added")[0]["item"]
    assert user["id"] in ids
    assert of_kind(outputs, "input_audio_buffer.speech_started")[0]["item_id"] == user["id"]


def test_each_item_names_the_one_before_it():
    talk = conversation()
    first, second = of_kind(spoken(talk, "good morning"), "conversation.item.added")
    assert first["previous_item_id"] is None
    assert second["previous_item_id"] == first["item"]["id"]


@pytest.mark.parametrize(
    ("scenario", "after"),
    [("happy", "response.output_audio_transcript.delta"), ("late-user-transcript", "response.done")],
)
def test_the_users_words_may_come_after_the_answer_began(scenario, after):
    talk = conversation(scenario, first_words=False)
    say = wished(outputs := spoken(talk, "good morning"))
    outputs += [*generated(talk, say), *talk.finished(say.response_id)]

    order = kinds(outputs)
    completed = order.index("conversation.item.input_audio_transcription.completed")
    assert completed == order.index(after) + 1


def test_without_a_transcription_block_nobody_learns_what_the_user_said():
    talk = conversation(audio={"input": {"transcription": None}})
    outputs = spoken(talk, "good morning")
    assert not of_kind(outputs, "conversation.item.input_audio_transcription.completed")
    assert wished(outputs)


def test_noise_has_an_empty_transcript_and_no_answer():
    outputs = spoken(conversation(), "")
    assert of_kind(outputs, "conversation.item.input_audio_transcription.completed")[0]["transcript"] == ""
    assert "response.created" not in kinds(outputs)


def test_an_utterance_that_cannot_be_transcribed_fails_by_itself():
    talk = conversation()
    wish = [*talk.speech_started(0), *talk.speech_stopped(500, b"")][-1]
    assert kinds(talk.untranscribable(wish.item_id)) == ["conversation.item.input_audio_transcription.failed"]


def test_who_speaks_while_the_model_speaks_interrupts_it():
    talk = conversation(played_ms=740)
    say = wished(spoken(talk, "good morning"))
    generated(talk, say, words=2)
    outputs = talk.speech_started(5000)

    assert kinds(outputs) == [
        "input_audio_buffer.speech_started",
        Hush,
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    assert outputs[2]["transcript"] == "Yousaid:"
    done = of_kind(outputs, "response.done")[0]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert outputs[-1]["audio_end_ms"] == 740


def test_an_answer_that_is_generated_and_still_heard_is_only_truncated():
    talk = conversation()
    say = wished(spoken(talk, "good morning"))
    generated(talk, say)
    talk.finished(say.response_id)

    outputs = talk.speech_started(5000)
    assert kinds(outputs)[1:] == [Hush, "output_audio_buffer.cleared", "conversation.item.truncated"]
    assert not talk.drained(say.response_id)


def test_of_two_utterances_in_a_row_the_last_is_answered():
    talk = conversation()
    first = [*talk.speech_started(0), *talk.speech_stopped(500, b"")][-1]
    second = [*talk.speech_started(600), *talk.speech_stopped(900, b"")][-1]
    assert "response.created" not in kinds(talk.transcribed(first.item_id, "good"))
    assert "response.created" in kinds(talk.transcribed(second.item_id, "morning"))


# Client events


def sent(talk, **event):
    return talk.client(json.dumps(event))


def written(text, role="user"):
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def test_a_written_question_gets_a_spoken_answer():
    talk = conversation()
    announced = sent(talk, type="conversation.item.create", item=written("hello there"))
    outputs = sent(talk, type="response.create")

    assert kinds(announced)[:2] == ["conversation.item.added", "conversation.item.created"]
    assert wished(outputs).audible
    assert wished(outputs).text == "You said: hello there."


def test_a_written_session_answers_in_writing():
    talk = conversation(output_modalities=["text"])
    say = wished(sent(talk, type="response.create"))
    assert not say.audible
    assert kinds(talk.said(say.response_id, "Hello")) == ["response.output_text.delta"]


def test_history_is_put_where_the_client_says():
    talk = conversation()
    sent(talk, type="conversation.item.create", item=written("second") | {"id": "b"})
    first = sent(
        talk, type="conversation.item.create", previous_item_id="root", item=written("first") | {"id": "a"}
    )
    between = written("between", role="assistant") | {"id": "c"}
    middle = sent(talk, type="conversation.item.create", previous_item_id="a", item=between)

    assert first[0]["previous_item_id"] is None
    assert middle[0]["previous_item_id"] == "a"


def test_turn_detection_can_leave_the_answer_to_the_client():
    talk = conversation(audio={"input": {"turn_detection": {"create_response": False}}})
    assert "response.created" not in kinds(spoken(talk, "good morning"))
    assert wished(sent(talk, type="response.create")).text == "You said: good morning."


def test_the_client_stops_the_text_and_then_the_sound():
    talk = conversation()
    say = wished(sent(talk, type="response.create"))
    generated(talk, say)

    cancelled = sent(talk, type="response.cancel")
    cleared = sent(talk, type="output_audio_buffer.clear")
    assert (
        of_kind(cancelled, "response.done")[0]["response"]["status_details"]["reason"] == "client_cancelled"
    )
    assert kinds(cleared) == [Hush, "output_audio_buffer.cleared", "conversation.item.truncated"]


def test_a_session_update_changes_only_what_it_names():
    talk = conversation()
    change = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    outcome = sent(talk, type="session.update", session=change)[0]
    assert outcome["type"] == "session.updated"
    assert outcome["session"]["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.0,
    }


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_json"),
        ("[]", "invalid_event"),
        ('{"type": "nonsense"}', "invalid_value"),
        ('{"type": "response.cancel"}', "response_cancel_not_active"),
        ('{"type": "session.update", "session": {"type": "realtime", "voice": "ash"}}', "unknown_parameter"),
        (
            '{"type": "conversation.item.create", "item": {"type": "message", "role": "robot"}}',
            "invalid_value",
        ),
    ],
)
def test_what_azure_would_not_accept_comes_back_as_an_error_event(message, code):
    outputs = conversation().client(message)
    assert kinds(outputs) == ["error"]
    assert outputs[0]["error"]["code"] == code


def test_a_session_that_expires_says_so():
    assert conversation("session-expires").expired()[0]["error"]["code"] == "session_expired"


@given(
    st.lists(st.sampled_from(["start", "stop", "hear", "say", "end", "drain", *CLIENT_EVENTS]), max_size=40)
)
def test_whatever_happens_every_answer_ends_once_and_in_order(happenings):
    talk, said, waiting, seen = conversation(first_words=False), None, [], []
    for happening in alternating(happenings):
        outputs = happen(talk, happening, said, waiting)
        waiting += [one.item_id for one in outputs if isinstance(one, Transcribe)]
        said = next((one for one in outputs if isinstance(one, Say)), said)
        seen += outputs
    created = [one["response"]["id"] for one in of_kind(seen, "response.created")]
    done = [one["response"]["id"] for one in of_kind(seen, "response.done")]
    started = [one["response_id"] for one in of_kind(seen, "output_audio_buffer.started")]

    assert done == created[: len(done)]
    assert len(created) - len(done) <= 1
    assert set(started) <= set(created)
    assert len(set(started)) == len(started)


def alternating(happenings):
    """A user starts to speak, then stops, then starts."""
    speaking = False
    for happening in happenings:
        if happening in ("start", "stop"):
            happening, speaking = ("stop" if speaking else "start"), not speaking  # noqa: PLW2901
        yield happening


def happen(talk, happening, said, waiting):
    """One step of a call, as far as it is possible now."""
    response = said.response_id if said else "resp_none"
    steps = {
        "start": lambda: talk.speech_started(0),
        "stop": lambda: talk.speech_stopped(0, b""),
        "hear": lambda: talk.transcribed(waiting.pop(0), "good morning") if waiting else [],
        "say": lambda: [*talk.audible(response), *talk.said(response, "word ")],
        "end": lambda: talk.finished(response),
        "drain": lambda: talk.drained(response),
    }
    return steps[happening]() if happening in steps else sent(talk, **CLIENT_EVENTS[happening])


def test_a_second_answer_waits_for_the_first():
    talk = conversation()
    sent(talk, type="response.create")
    again = sent(talk, type="response.create", event_id="e2")[0]["error"]
    assert (again["code"], again["event_id"]) == ("conversation_already_has_active_response", "e2")


# What it says


def test_the_agent_greets_by_name():
    assert greeting("You are Elena, who listens.").startswith("Hello, I am Elena.")
    assert reply_to("please tell me your name", "You are Marcus.") == "My name is Marcus."


def test_a_remembered_fact_is_quoted_from_the_fenced_block():
    instructions = "You are Elena.\n<memory>\n- Lives in Paris with the family.\n</memory>"
    assert reply_to("What do you remember about me", instructions) == (
        "I remember: Lives in Paris with the family."
    )
    assert reply_to("what do you remember", "You are Elena.") == "I do not remember anything yet."


# A real call


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
    """A browser's part of a call, in Python."""

    def __init__(self, peer, channel, microphone):
        self.events, self.loudest = [], 0
        self.microphone = microphone
        self._open, self.closed = asyncio.Event(), asyncio.Event()
        self._channel = channel
        self._arrived = asyncio.Condition()
        self._messages = asyncio.Queue()
        channel.on("message", self._messages.put_nowait)
        channel.on("close", self.closed.set)
        channel.on("open", self._open.set)
        peer.on("track", lambda track: self._tasks.append(asyncio.create_task(self._listen(track))))
        self._tasks = [asyncio.create_task(self._collect())]

    def send(self, **event):
        self._channel.send(json.dumps(event))

    async def until(self, kind, *, times=1, within=10):
        """Everything up to the nth event of a kind."""
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
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    mouth = Microphone()
    if microphone:
        peer.addTrack(mouth)
    else:
        peer.addTransceiver("audio", direction="recvonly")
    caller = Caller(peer, peer.createDataChannel("realtime-channel"), mouth)
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    reply = await azure.post(f"{CALLS}{query}", headers=headers, content=peer.localDescription.sdp)
    assert reply.status_code == 201
    caller.location = reply.headers["location"]
    await peer.setRemoteDescription(RTCSessionDescription(reply.text, "answer"))
    try:
        yield caller
    finally:
        await caller.leave()
        await peer.close()


@pytest.fixture
async def live():
    async with running(create_app()) as client:
        yield client


async def test_a_spoken_sentence_is_heard_answered_and_can_be_interrupted(live):
    async with call(live, "ek_sim_happy") as caller:
        await caller.until("session.created")
        caller.microphone.say("weather")
        heard = await caller.until("conversation.item.input_audio_transcription.completed")
        await caller.until("output_audio_buffer.started")
        caller.microphone.say("good-morning")
        await caller.until("conversation.item.truncated")
        interrupting = await caller.until("conversation.item.input_audio_transcription.completed", times=2)

    assert "weather" in heard["transcript"].lower()
    assert "morning" in interrupting["transcript"].lower()
    assert caller.loudest > 1_000
    assert caller.events[0]["type"] == "session.created"
    assert all(event["event_id"].startswith("event_") for event in caller.events)
    assert "output_audio_buffer.cleared" in kinds(caller.events)


async def test_without_a_microphone_one_writes_and_the_filter_keeps_the_prompt(live):
    async with call(live, "ek_sim_happy", "?webrtcfilter=on", microphone=False) as caller:
        await caller.until_open()
        caller.send(type="conversation.item.create", item=written("hello there"))
        caller.send(type="response.create")
        await caller.until("output_audio_buffer.stopped")

    assert set(kinds(caller.events)) <= VISIBLE_WITH_FILTER
    assert caller.loudest > 1_000


async def test_a_call_can_be_hung_up_from_the_server(live):
    async with call(live, "ek_sim_happy", microphone=False) as caller:
        await caller.until("session.created")
        hung_up = await live.post(f"/openai{caller.location}/hangup", headers=KEY)
        async with asyncio.timeout(5):
            await caller.closed.wait()
    assert hung_up.status_code == 200


async def test_a_channel_can_close_early_without_a_word(live):
    async with call(live, "ek_sim_channel-closes-early", microphone=False) as caller:
        async with asyncio.timeout(5):
            await caller.closed.wait()
    assert kinds(caller.events) == ["session.created"]
