"""Real calls over WebRTC: sound goes both ways, events come, and either side can end it."""

import asyncio

import pytest

from tests.running import running
from tests.simulated.peer import call
from tests.simulated.routes import KEY
from tests.simulated.talk import kinds, written
from tests.simulator.azure import create_app
from tests.simulator.call import VISIBLE_WITH_FILTER


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
