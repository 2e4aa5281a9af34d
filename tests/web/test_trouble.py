"""What can go wrong in a call, as the person sees it; and what is kept when enrichment dies in the middle."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE_MS = 10_000  # how long the page waits for words that Azure may never send
QUIET = {"ENABLE_PROACTIVE_GREETING": "false"}


async def test_killing_enrichment_mid_call_loses_nothing_and_the_call_never_notices(open_page, system):
    person = await open_page(speaks=True)
    await person.start()
    await person.sees_turns(1)

    await system["enrichment"].kill()
    await person.is_in("listening")
    await person.speak("paris")
    await expect(person.page.locator("#transcript li")).to_have_count(3, timeout=20_000)
    await person.sees_turns(2, "waiting")
    await person.is_in("listening")

    await system.restart("enrichment")
    await person.sees_turns(3)
    await person.write("My train leaves at noon")
    await person.sees_turns(5)
    await person.end()
    episode = await person.remembered(5)
    assert [line["role"] for line in episode] == ["assistant", "user", "assistant", "user", "assistant"]
    assert len({line["turn_id"] for line in episode}) == 5
    assert [line["content"] for line in episode] == [text for _, text in await person.transcript()]


async def test_a_turn_that_could_not_be_sent_goes_out_after_a_reload(open_page, system):
    person = await open_page()
    await person.write("Hello there")
    await person.sees_turns(2)
    await system["enrichment"].kill()
    await person.write("This must not get lost")
    await person.sees_turns(2, "waiting")
    await system.restart("enrichment")
    await person.page.reload()
    assert [line["content"] for line in await person.remembered(4)][2] == "This must not get lost"


# The deployment chooses the fault.


async def test_words_that_are_transcribed_late_still_stand_before_their_answer(open_page, broker_for):
    late = {"AZURE_VOICELIVE_MODEL": "gpt-realtime-late-user-transcript"}
    url = await broker_for(WEBRTC_FILTER="false", **late, **QUIET)  # and everything that Azure says
    person = await open_page(url, microphone="train")
    await person.start()
    await person.sees_turns(2)
    assert [speaker for speaker, _ in await person.transcript()] == ["user", "assistant"]
    assert [line["role"] for line in await person.remembered(2)] == ["user", "assistant"]


async def test_where_azure_refuses_the_transcription_the_page_turns_it_on_itself(open_page, broker_for):
    url = await broker_for(AZURE_VOICELIVE_MODEL="gpt-realtime-500-with-transcription", **QUIET)
    person = await open_page(url, microphone="paris")
    await person.start()
    await person.sees_turns(2)
    assert "paris" in (await person.transcript())[0][1].lower()


async def test_an_answer_is_kept_even_when_the_question_is_never_transcribed(open_page, broker_for):
    url = await broker_for(AZURE_VOICELIVE_MODEL="gpt-realtime-transcription-missing", **QUIET)
    person = await open_page(url, microphone="train")
    await person.page.clock.install()
    await person.start()
    await person.is_in("speaking")
    await person.is_in("listening")
    await person.page.clock.fast_forward(PATIENCE_MS)
    await person.sees_turns(1)
    await expect(person.page.locator("#transcript")).to_contain_text("could not be transcribed")
    assert [line["role"] for line in await person.remembered(1)] == ["assistant"]


@pytest.mark.parametrize(
    ("deployment", "says"),
    [
        ("gpt-realtime-sdp-refused", "not accepted"),
        ("gpt-realtime-429", "No voice service is free"),
        ("gpt-realtime-deployment-not-found", "Calls cannot be made"),
    ],
)
async def test_a_call_that_cannot_begin_is_explained_and_may_be_tried_again(
    open_page, broker_for, deployment, says
):
    person = await open_page(await broker_for(AZURE_VOICELIVE_MODEL=deployment, **QUIET), speaks=True)
    await person.start()
    problem = person.page.locator("#problem")
    await expect(problem).to_be_visible(timeout=15_000)
    await person.is_in("ready")
    await expect(problem).to_contain_text(says)
    await expect(person.page.locator("#retry")).to_be_visible()
    assert "{" not in await problem.inner_text()


async def test_calls_that_azure_ends_again_and_again_are_given_up(open_page, broker_for):
    url = await broker_for(AZURE_VOICELIVE_MODEL="gpt-realtime-channel-closes-early", **QUIET)
    person = await open_page(url, speaks=True)
    await person.start()
    await person.is_in("ended")
    await expect(person.page.locator("#start")).to_contain_text("Start")
