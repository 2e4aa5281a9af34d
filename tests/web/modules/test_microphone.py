"""The microphone: how loud it is, whether it hears anything, and another one in the same call."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.web.modules.page import is_in, start

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A microphone that is as loud as a test wants, and the list of what was opened.
MICROPHONES = """() => {
  window.loudness = 0;
  window.opened = [];
  navigator.mediaDevices.getUserMedia = async ({ audio }) => {
    const context = new AudioContext();
    const source = context.createConstantSource();
    const mouth = context.createMediaStreamDestination();
    source.connect(mouth);
    source.start();
    setInterval(() => (source.offset.value = window.loudness), 20);
    opened.push({ wish: audio, stream: mouth.stream });
    return mouth.stream;
  };
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def quiet(page):
    """The page in a call, with a microphone that hears nothing."""
    await page.clock.install()
    await page.evaluate(MICROPHONES)
    await page.evaluate("window.told = []")
    await page.evaluate("engram.session.on('unheard', (is) => told.push(is))")
    await start(page)
    return page


async def test_the_level_follows_the_microphone_and_is_nothing_when_muted(quiet):
    assert await quiet.evaluate("engram.session.level") == 0
    await quiet.evaluate("() => { loudness = 0.5 }")
    await quiet.evaluate("until(() => engram.session.level > 0.4, 'a level')")
    await quiet.evaluate("engram.session.setMuted(true)")
    assert await quiet.evaluate("engram.session.level") == 0


async def test_a_microphone_that_hears_nothing_at_all_is_told_until_it_does(quiet):
    await quiet.clock.fast_forward(2_000)
    assert await quiet.evaluate("told") == []
    await quiet.clock.fast_forward(3_000)
    await quiet.evaluate("until(() => told.length === 1, 'a hint')")
    await quiet.evaluate("() => { loudness = 0.5 }")
    await quiet.evaluate("until(() => told.length === 2, 'the end of it')")
    assert await quiet.evaluate("told") == [True, False]


async def test_somebody_who_was_heard_once_may_be_silent(quiet):
    await quiet.evaluate("() => { loudness = 0.5 }")
    await quiet.evaluate("until(() => engram.session.level > 0.4, 'a level')")
    await quiet.clock.run_for(400)
    await quiet.evaluate("() => { loudness = 0 }")
    await quiet.clock.fast_forward(10_000)
    assert await quiet.evaluate("told") == []


async def test_the_hint_goes_away_with_the_microphone_it_was_about(quiet):
    await quiet.clock.fast_forward(5_000)
    await quiet.evaluate("until(() => told.length === 1, 'a hint')")
    await quiet.evaluate("engram.session.useMicrophone('headset')")
    assert await quiet.evaluate("told") == [True, False]


async def test_who_is_muted_is_not_told_to_be_unheard(quiet):
    await quiet.click("#mute")
    await quiet.clock.run_for(6_000)
    assert await quiet.evaluate("told") == []


async def test_who_listens_to_the_agent_is_not_told_to_be_unheard(quiet):
    await quiet.evaluate("azure.say({ type: 'output_audio_buffer.started', response_id: 'R' })")
    await is_in(quiet, "speaking")
    await quiet.clock.run_for(6_000)
    assert await quiet.evaluate("told") == []


async def test_another_microphone_is_heard_in_the_same_call_and_stays_muted(quiet, services):
    await quiet.evaluate("engram.session.setMuted(true)")
    await is_in(quiet, "muted")
    await quiet.evaluate("engram.session.useMicrophone('headset')")
    states = "opened.map(({ stream }) => stream.getTracks()[0].readyState)"
    assert await quiet.evaluate(states) == ["ended", "live"]
    assert await quiet.evaluate("opened[1].wish.deviceId") == {"exact": "headset"}
    assert len(services.tokens) == 1
    await is_in(quiet, "muted")


async def test_what_can_be_chosen_is_listed(page):
    await start(page)
    devices = await page.evaluate("engram.session.devices()")
    assert devices["microphones"]
    assert all(device["id"] for device in devices["microphones"])
    assert devices["microphoneId"] in {device["id"] for device in devices["microphones"]}


async def test_a_report_says_how_the_call_does_and_nothing_that_was_said_or_secret(page):
    await start(page)
    await page.evaluate("azure.say({ type: 'output_audio_buffer.started', response_id: 'R' })")
    await is_in(page, "speaking")
    await page.evaluate("until(async () => (await engram.session.report()).path, 'the path of the audio')")
    report = await page.evaluate("engram.session.report()")
    assert (report["state"], report["calls"], report["sessionId"]) == ("speaking", 1, "session-1")
    assert all(report[name] > 0 for name in ("mintMs", "sdpMs", "connectMs", "firstAudioMs"))
    assert report["path"].startswith("udp")
    assert [event["type"] for event in report["events"]] == ["output_audio_buffer.started"]
    assert "ek_never_shown" not in str(report)
