"""A conversation that goes on in another call: after a loss, before the limit, with another agent."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import expect

from tests.web.modules.page import is_in, says, start
from tests.web.modules.realtime_events import added, delta, done, heard, sound, started, stopped

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUESTION = (started("U1"), stopped("U1"), added("U1", None), heard("U1", "Where is my parcel?"))
ANSWER = (added("A1", "U1", "assistant"), sound("started"), done("A1", "On its way."), sound("stopped"))

NEAR_ITS_END_MS = 545_000


async def calls(page, count):
    """Waits until there were so many calls, and the newest can be spoken in."""
    await page.evaluate(
        f"until(() => azure.calls.length === {count} && azure.calls.at(-1).say, '{count} calls')"
    )


async def told(page, call=-1):
    """What the browser told a call, once it told anything: texts of items, other events by name."""
    await page.evaluate("(at) => until(() => azure.calls.at(at).heard.length, 'words')", call)
    return await page.evaluate(
        """(at) => azure.calls.at(at).heard.map(({ type, item }) => item?.content[0].text ?? type)""", call
    )


async def start_short_call(page, services):
    """A call that ends in ten minutes; those that follow it do not."""
    await page.clock.install()
    services.token = {"call_ends_at": int(time.time()) + 600}
    await start(page)
    services.token = {}


async def lose(page):
    await page.evaluate("azure.calls.at(-1).peer.close()")


async def test_a_call_that_breaks_off_goes_on_in_another_that_knows_what_was_said(page, services):
    await start(page)
    await says(page, *QUESTION, *ANSWER)
    await is_in(page, "listening")
    await lose(page)
    await calls(page, 2)
    await is_in(page, "listening")

    assert await told(page) == ["Where is my parcel?", "On its way."]
    assert services.tokens[1] == {"agent_id": "elena", "session_id": "session-1"}
    await says(page, started("U2"), stopped("U2"), added("U2", "A1"), heard("U2", "And when?"))
    await services.has_posted(["U1"], ["A1"], ["U2"])
    assert services.posts[2]["turns"][0]["previous_turn_id"] == "A1"


async def test_what_was_told_again_is_no_new_turn_whatever_azure_calls_it(page, services):
    await start(page)
    await says(page, *QUESTION, *ANSWER)
    await services.has_posted(["U1"], ["A1"])
    await lose(page)
    await calls(page, 2)
    await is_in(page, "listening")
    question = [{"type": "input_text", "text": "Where is my parcel?"}]
    answer = [{"type": "output_text", "text": "On its way."}]
    await says(page, added("U1", None, content=question), added("U1", None, kind="created", content=question))
    await says(page, added("other", "U1", "assistant", content=answer))
    await says(page, started("U2"), stopped("U2"), added("U2", "other"), heard("U2", "And when?"))
    await services.has_posted(["U1"], ["A1"], ["U2"])
    await expect(page.locator("#transcript li p")).to_have_text(
        ["Where is my parcel?", "On its way.", "And when?"]
    )


async def test_an_answer_that_was_cut_off_by_the_loss_is_given_in_the_next_call(page):
    await start(page)
    await says(page, *QUESTION, added("A1", "U1", "assistant"), sound("started"), delta("A1", "It is"))
    await is_in(page, "speaking")
    await lose(page)
    await calls(page, 2)
    await is_in(page, "thinking")
    assert await told(page) == ["Where is my parcel?", "It is", "response.create"]
    await expect(page.locator("#transcript [data-turn-id=A1]")).to_have_attribute("data-state", "interrupted")


async def test_the_microphone_is_asked_for_once_and_off_when_all_is_over(page):
    await page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.opened = [];
          navigator.mediaDevices.getUserMedia = async (wish) => {
            const stream = await open(wish);
            const clone = stream.clone.bind(stream);
            stream.clone = () => opened[opened.push(clone()) - 1];
            return opened[opened.push(stream) - 1];
          };
        }"""
    )
    await start(page)
    await lose(page)
    await calls(page, 2)
    await is_in(page, "listening")
    live = "opened.map((stream) => stream.getTracks()[0].readyState)"
    assert await page.evaluate(live) == ["live", "ended", "live"]
    await page.click("#start")
    await is_in(page, "ended")
    assert await page.evaluate(live) == ["ended"] * 3


async def test_while_the_connection_is_gone_the_page_says_so_and_tries_until_it_is_back(page, services):
    await start(page)
    services.token_problem = {"status": 503, "title": "no", "retryable": True}
    await lose(page)
    await is_in(page, "reconnecting")
    await page.fill("#text", "Are you there?")
    await page.press("#text", "Enter")
    await expect(page.locator("#state")).to_have_attribute("data-state", "reconnecting")
    services.token_problem = None
    await page.evaluate("() => { dispatchEvent(new Event('online')) }")
    await calls(page, 2)
    await is_in(page, "thinking")
    assert await told(page) == ["Are you there?", "response.create"]


async def test_a_loss_that_cannot_be_mended_is_told(page, services):
    await start(page)
    services.token_problem = {"status": 403, "title": "no", "retryable": False}
    await lose(page)
    await is_in(page, "ended")
    await expect(page.locator("#problem h2")).to_have_text("The connection was lost")


async def test_calls_that_break_off_again_and_again_are_given_up(page, services):
    await start(page)
    for count in range(2, 5):
        await lose(page)
        await calls(page, count)
        await is_in(page, "listening")
    await lose(page)
    await is_in(page, "ended")
    assert len(services.tokens) == 4


async def test_hanging_up_while_the_connection_is_gone_ends_it(page, services):
    await start(page)
    services.token_problem = {"status": 503, "title": "no", "retryable": True}
    await lose(page)
    await is_in(page, "reconnecting")
    await page.click("#start")
    await is_in(page, "ended")
    await expect(page.locator("#problem")).to_be_hidden()


async def test_before_its_limit_a_call_is_followed_by_another_without_a_gap(page, services):
    await start_short_call(page, services)
    await says(page, *QUESTION, *ANSWER)
    await is_in(page, "listening")
    await page.clock.fast_forward(NEAR_ITS_END_MS)
    await calls(page, 2)
    await page.evaluate("until(() => azure.calls[0].over, 'the first call ends')")
    await is_in(page, "listening")
    assert await told(page) == ["Where is my parcel?", "On its way."]
    assert await page.evaluate("document.querySelector('#speaker').srcObject?.active")
    await services.has_posted(["U1"], ["A1"])


async def test_a_call_at_its_limit_waits_for_the_end_of_what_is_being_said(page, services):
    await start_short_call(page, services)
    await says(page, started("U1"))
    await page.clock.fast_forward(NEAR_ITS_END_MS)
    await calls(page, 2)
    await page.evaluate("until(() => azure.calls[1].peer.connectionState === 'connected', 'the next call')")
    assert await page.evaluate("azure.calls[0].over") is False
    said = "(events) => events.forEach((event) => azure.calls[0].say(event))"
    await page.evaluate(said, [*QUESTION[1:], *ANSWER])
    await page.evaluate("until(() => azure.calls[0].over, 'the first call ends')")
    assert await told(page) == ["Where is my parcel?", "On its way."]
    await services.has_posted(["U1"], ["A1"])


async def test_another_agent_takes_over_in_a_pause_and_knows_what_was_said(page, services):
    await start(page)
    await says(page, *QUESTION, *ANSWER)
    await is_in(page, "listening")
    await page.evaluate("engram.session.switchTo('marcus')")
    words = await told(page)
    assert [*words[:2], words[-1]] == ["Where is my parcel?", "On its way.", "response.create"]
    assert services.tokens[1] == {"agent_id": "marcus", "session_id": "session-1"}
    await says(page, added("A2", "A1", "assistant"), done("A2", "Marcus here."))
    await services.has_posted(["U1"], ["A1"], ["A2"])
    assert services.posts[2]["turns"][0]["agent_id"] == "marcus"
    assert services.posts[2]["turns"][0]["previous_turn_id"] == "A1"


async def test_when_another_agent_cannot_be_reached_the_first_one_stays(page, services):
    await start(page)
    services.token_problem = {"status": 503, "title": "no", "retryable": True}
    switched = await page.evaluate(
        "engram.session.switchTo('marcus').then(() => 'yes', (error) => error.status)"
    )
    assert switched == 503
    assert await page.evaluate("engram.session.agentId") == "elena"
    await is_in(page, "listening")
    await says(page, *QUESTION)
    await services.has_posted(["U1"])


async def test_words_of_the_old_call_that_come_late_stand_before_those_of_the_new(page, services):
    await page.clock.install()
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))
    await page.evaluate("() => { window.switching = engram.session.switchTo('marcus') }")
    await calls(page, 2)
    await page.evaluate("until(() => azure.peer.connectionState === 'connected', 'the next call')")
    await page.clock.fast_forward(5_500)  # it waits in vain for the words, and no longer than is polite
    await page.evaluate("switching")
    await says(page, added("A2", None, "assistant"), done("A2", "Marcus here."))
    await page.evaluate("(event) => azure.calls[0].say(event)", heard("U1", "Marcus, please"))
    await services.has_posted(["U1"], ["A2"])
    assert services.posts[1]["turns"][0]["previous_turn_id"] == "U1"


async def test_a_token_that_ran_out_on_the_way_is_asked_for_again_once(page, services):
    await page.evaluate("azure.refuse = 401")
    await page.click("#start")
    await expect(page.locator("#problem h2")).to_have_text("The call was not accepted")
    assert len(services.tokens) == 2
    await page.evaluate("azure.refuse = 0")
    await page.click("#retry")
    await is_in(page, "listening")


async def test_a_text_that_was_written_is_one_turn_before_and_after_azure_announces_it(page, services):
    await page.fill("#text", "Hello in writing")
    await page.press("#text", "Enter")
    await is_in(page, "thinking")
    await page.evaluate("until(() => azure.heard.length === 2, 'the words')")
    [turn_id] = await page.evaluate("azure.heard.filter(({ item }) => item).map(({ item }) => item.id)")
    await services.has_posted([turn_id])
    content = [{"type": "input_text", "text": "Hello in writing"}]
    await says(page, added("azures_own", None, content=content), added("A1", "azures_own", "assistant"))
    await says(page, done("A1", "Good day."))
    await services.has_posted([turn_id], ["A1"])
    await expect(page.locator("#transcript li p")).to_have_text(["Hello in writing", "Good day."])


async def test_a_microphone_that_goes_away_is_replaced_in_the_same_call(page, services):
    await remember_microphones(page)
    await start(page)
    await page.evaluate("() => { microphones[0].getTracks()[0].dispatchEvent(new Event('ended')) }")
    await page.evaluate("until(() => microphones.length === 2, 'another microphone')")
    await page.evaluate("until(() => microphones[0].getTracks()[0].readyState === 'ended', 'its end')")
    await is_in(page, "listening")
    assert len(services.tokens) == 1


async def test_a_microphone_that_goes_away_for_good_is_told_and_can_be_opened_again(page, services):
    await remember_microphones(page)
    await start(page)
    await page.evaluate("window.broken = true")
    await page.evaluate("() => { microphones[0].getTracks()[0].dispatchEvent(new Event('ended')) }")
    await expect(page.locator("#problem h2")).to_have_text("Your microphone went away")
    await is_in(page, "listening")
    await page.evaluate("window.broken = false")
    await page.click("#retry")
    await expect(page.locator("#problem")).to_be_hidden()
    await is_in(page, "listening")
    assert len(services.tokens) == 2


async def remember_microphones(page):
    await page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.microphones = [];
          navigator.mediaDevices.getUserMedia = async (wish) => {
            if (window.broken) throw new DOMException("unplugged", "NotFoundError");
            return microphones[microphones.push(await open(wish)) - 1];
          };
        }"""
    )
