"""Calls, moves, losses and ends that cross each other: one call remains, and nothing stays switched on."""

from __future__ import annotations

import time

import pytest

from tests.web.modules.page import is_in, says, start
from tests.web.modules.realtime_events import added, delta, done, heard, started, stopped
from tests.web.modules.test_moving import ANSWER, QUESTION, calls, lose, start_short_call, told

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Every copy that is made of a microphone, and what is still on.
COPIES = """() => {
  window.copies = [];
  const clone = MediaStream.prototype.clone;
  MediaStream.prototype.clone = function () { return copies[copies.push(clone.call(this)) - 1]; };
  window.live = () => copies.filter((stream) => stream.getTracks()[0].readyState === "live").length;
}"""
HOLD = "() => { azure.hold = new Promise((go) => (window.go = go)) }"
SWITCH = """(agentId) => {
  window.moves ??= [];
  if (!window.watching) engram.session.on("moved", ({ why, agentId }) => moves.push([why, agentId]));
  window.watching = true;
  window.switching = engram.session.switchTo(agentId).then(() => "there", () => "not there");
}"""
CONNECTED = "until(() => azure.calls[1].peer.connectionState === 'connected', 'the next call')"


async def nothing_is_on(page):
    await page.evaluate("until(() => live() === 0, 'every microphone is off')")


@pytest.mark.parametrize("clock_s", [-3600, -1500, 3600])
async def test_a_computer_whose_clock_is_wrong_makes_one_call(page, services, clock_s):
    await page.clock.install()
    services.token = {"call_ends_at": int(time.time()) + 1800 + clock_s, "call_lasts_s": 1800}
    await start(page)
    await page.clock.run_for(10_000)
    assert len(services.tokens) == 1


async def test_a_hand_over_that_fails_is_tried_again_in_a_while(page, services):
    await start_short_call(page, services)
    await page.evaluate("azure.refuse = 503")
    await page.clock.fast_forward(541_000)
    await page.clock.run_for(9_000)
    await page.evaluate("until(() => azure.offer, 'an offer')")
    assert len(services.tokens) == 2
    await page.clock.run_for(30_000)
    assert len(services.tokens) <= 5


async def test_a_loss_while_another_agent_is_called_leads_to_one_call(page, services):
    await start(page)
    await says(page, *QUESTION, *ANSWER)
    await page.evaluate(HOLD)
    await page.evaluate(SWITCH, "marcus")
    await page.evaluate("until(() => azure.offer, 'the offer')")
    await page.evaluate("azure.calls[0].peer.close()")
    await is_in(page, "reconnecting")
    await page.evaluate("go()")
    assert await page.evaluate("switching") == "there"
    await is_in(page, "thinking")
    assert await page.evaluate("moves") == [["agent", "marcus"]]
    assert len(services.tokens) == 2


async def test_when_both_calls_are_lost_a_third_one_is_made(page, services):
    await start(page)
    await says(page, started("U1"))  # no pause: the next call waits
    await page.evaluate(SWITCH, "marcus")
    await calls(page, 2)
    await page.evaluate(CONNECTED)
    await page.evaluate("azure.calls[1].peer.close()")
    assert await page.evaluate("switching") == "not there"
    await page.evaluate("azure.calls[0].peer.close()")
    await calls(page, 3)
    await is_in(page, "listening")


async def test_a_call_that_cannot_be_made_leaves_no_microphone_on(page, services):
    await page.evaluate(COPIES)
    services.token = {"ice_servers": [{"urls": "turn:turn.test"}]}  # without credentials: the browser refuses
    await page.click("#start")
    await is_in(page, "ready")
    await nothing_is_on(page)


async def test_a_page_that_goes_away_while_reconnecting_leaves_no_microphone_on(page, services):
    await page.evaluate(COPIES)
    await start(page)
    services.token_problem = {"status": 503, "title": "no", "retryable": True}
    await lose(page)
    await is_in(page, "reconnecting")
    await page.evaluate("engram.session.leave()")
    await is_in(page, "ended")
    await nothing_is_on(page)


async def test_hanging_up_while_the_next_call_waits_leaves_nothing_on(page):
    await page.evaluate(COPIES)
    await start(page)
    await says(page, started("U1"))
    await page.evaluate(SWITCH, "marcus")
    await calls(page, 2)
    await page.evaluate(CONNECTED)
    await page.evaluate("engram.session.end()")
    await is_in(page, "ended")
    await nothing_is_on(page)
    await page.evaluate("until(() => azure.calls.every(({ over }) => over), 'the end of both calls')")


async def test_a_muted_person_is_not_heard_while_a_call_is_made_again(page):
    await page.evaluate(COPIES)
    await start(page)
    await page.click("#mute")
    await is_in(page, "muted")
    await page.evaluate(HOLD)
    await lose(page)
    await page.evaluate("until(() => copies.length === 2, 'the next call')")
    assert await page.evaluate("copies[1].getTracks()[0].enabled") is False
    await page.evaluate("go()")
    await is_in(page, "muted")


async def test_a_microphone_that_is_chosen_while_a_call_is_made_is_heard_in_it(page):
    await page.evaluate(COPIES)
    await page.evaluate(HOLD)
    await page.click("#start")
    await page.evaluate("until(() => azure.offer, 'the offer')")
    await page.evaluate("engram.session.useMicrophone('')")
    await page.evaluate("go()")
    await is_in(page, "listening")
    await page.evaluate("until(() => copies.length === 2 && live() === 1, 'the newer microphone')")
    assert await page.evaluate("copies[1].getTracks()[0].readyState") == "live"


async def test_a_microphone_that_is_chosen_while_the_next_call_waits_is_heard_in_it(page):
    await page.evaluate(COPIES)
    await start(page)
    await says(page, started("U1"))  # no pause: the next call waits
    await page.evaluate(SWITCH, "marcus")
    await calls(page, 2)
    await page.evaluate(CONNECTED)
    await page.evaluate("until(() => copies.length === 2, 'a microphone for each call')")
    await page.evaluate("engram.session.useMicrophone('')")
    await page.evaluate("until(() => copies.length === 4 && live() === 2, 'the newer one in both')")
    states = "copies.map((stream) => stream.getTracks()[0].readyState)"
    assert await page.evaluate(states) == ["ended", "ended", "live", "live"]


async def test_a_call_that_was_left_gets_no_microphone_again(page):
    await page.evaluate(COPIES)
    await page.clock.install()
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))  # words that are still to come
    await page.evaluate(SWITCH, "marcus")
    await calls(page, 2)
    await page.evaluate(CONNECTED)
    await page.clock.fast_forward(5_500)
    await page.evaluate("switching")
    assert await page.evaluate("azure.calls[0].over") is False
    await page.evaluate("engram.session.useMicrophone('')")
    assert await page.evaluate("copies.length") == 3


async def test_of_two_microphones_the_one_that_was_chosen_last_is_used(page):
    await start(page)
    await page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.streams = {};
          const slowly = new Promise((go) => (window.openSlow = go));
          navigator.mediaDevices.getUserMedia = async ({ audio: { deviceId } }) => {
            if (deviceId.exact === "slow") await slowly;
            return (streams[deviceId.exact] = await open({ audio: true }));
          };
          window.slow = engram.session.useMicrophone("slow");
        }"""
    )
    await page.evaluate("engram.session.useMicrophone('quick')")
    await page.evaluate("() => (openSlow(), slow)")
    states = "[streams.slow, streams.quick].map((stream) => stream.getTracks()[0].readyState)"
    assert await page.evaluate(states) == ["ended", "live"]


async def test_a_microphone_that_was_chosen_once_and_is_gone_is_no_obstacle(page):
    await page.evaluate("engram.session.useMicrophone('unplugged-since')")
    await start(page)


async def test_of_several_agents_the_last_one_chosen_comes_even_when_the_first_fails(page, services):
    await start(page)
    services.token_problem = {"status": 503, "title": "no", "retryable": True}
    await page.evaluate(SWITCH, "marcus")
    await page.evaluate("() => { window.first = switching }")
    await page.evaluate(SWITCH, "sage")
    assert await page.evaluate("Promise.all([first, switching])") == ["not there", "not there"]
    assert [token["agent_id"] for token in services.tokens] == ["elena", "marcus", "sage"]
    assert await page.evaluate("engram.session.agentId") == "elena"


async def test_an_agent_chosen_while_the_call_is_made_comes_once(page, services):
    await page.evaluate(HOLD)
    await page.click("#start")
    await page.evaluate("until(() => azure.offer, 'the offer')")
    await page.evaluate(SWITCH, "marcus")
    await page.evaluate("go()")
    assert await page.evaluate("switching") == "there"
    assert [token["agent_id"] for token in services.tokens] == ["elena", "marcus"]


async def test_an_agent_chosen_while_reconnecting_comes_when_the_connection_is_back(page, services):
    await start(page)
    await page.evaluate(HOLD)
    await lose(page)
    await is_in(page, "reconnecting")
    await page.evaluate("until(() => azure.offer, 'the offer')")
    await page.evaluate(SWITCH, "marcus")
    await page.evaluate("() => { azure.hold = null; go() }")
    assert await page.evaluate("switching") == "there"
    assert services.tokens[-1]["agent_id"] == "marcus"


async def test_an_agent_who_is_wanted_near_the_limit_need_not_wait_for_it(page, services):
    await start_short_call(page, services)
    await says(page, started("U1"))  # speaks on and on
    await page.clock.fast_forward(541_000)
    await calls(page, 2)
    await page.evaluate(CONNECTED)
    await page.evaluate(SWITCH, "marcus")
    await page.clock.run_for(6_000)  # the hand-over waits no longer than is polite
    await calls(page, 3)
    await page.clock.run_for(6_000)
    assert await page.evaluate("switching") == "there"


async def test_words_written_while_the_connection_is_gone_are_given_back_when_it_stays_gone(page, services):
    await start(page)
    services.token_problem = {"status": 503, "title": "no", "retryable": True}
    await lose(page)
    await is_in(page, "reconnecting")
    await page.evaluate(
        "() => { window.said = engram.session.say('Are you there?').then(() => 'told', () => 'rejected') }"
    )
    services.token_problem = {"status": 403, "title": "no", "retryable": False}
    await is_in(page, "ended")
    assert await page.evaluate("said") == "rejected"


async def test_hanging_up_and_starting_again_at_once_makes_another_call(page):
    await page.evaluate(HOLD)
    await page.click("#start")
    await page.evaluate("until(() => azure.offer, 'the offer')")
    await page.evaluate(
        """() => {
          azure.hold = null;
          engram.session.end();
          window.again = engram.session.start({ withMicrophone: true });
        }"""
    )
    await page.evaluate("again")
    await is_in(page, "listening")


async def test_no_answer_is_asked_for_to_words_that_are_gone(page):
    await start(page)
    await says(page, *QUESTION, *ANSWER)
    await is_in(page, "listening")
    await says(page, started("U2"), stopped("U2"), added("U2", "A1"))
    await is_in(page, "thinking")
    await lose(page)
    await calls(page, 2)
    await is_in(page, "listening")
    assert await told(page) == ["Where is my parcel?", "On its way."]


async def test_another_agent_is_told_whose_words_are_not_its_own(page):
    await start(page)
    await says(page, *QUESTION, *ANSWER)
    await is_in(page, "listening")
    await page.evaluate("engram.session.switchTo('marcus')")
    assert "given by Elena, another assistant" in (await told(page))[2]


OTHER_SESSION = """async (accessToken) => {
  const { Broker } = await import("/broker.js");
  const { VoiceSession } = await import("/voice-session.js");
  const speaker = document.querySelector("#speaker");
  const broker = new Broker({ accessToken: () => window.signIn() });
  window.signIn = async () => null;
  window.other = new VoiceSession({ broker, outbox: engram.outbox, speaker });
  await other.start({ withMicrophone: false });
}"""


async def test_who_cannot_sign_in_while_offline_is_not_hung_up_on(page):
    await page.evaluate(OTHER_SESSION)
    await page.evaluate("() => { window.signIn = () => Promise.reject(new Error('network_error')) }")
    await page.evaluate("azure.calls.at(-1).peer.close()")
    await page.evaluate("until(() => other.state === 'reconnecting', 'another try')")
    await page.evaluate("() => { window.signIn = async () => null }")
    await page.evaluate("() => { dispatchEvent(new Event('online')) }")
    await page.evaluate("until(() => other.state === 'listening', 'another call')")


async def test_a_sign_in_that_never_answers_blocks_no_later_call(page):
    await page.evaluate(OTHER_SESSION)
    await page.evaluate("() => { window.signIn = () => new Promise(() => {}) }")
    await page.evaluate("() => { window.first = other.switchTo('marcus').catch(() => {}) }")
    await page.evaluate("other.end()")
    await page.evaluate("() => { window.signIn = async () => null }")
    await page.evaluate("other.start({ withMicrophone: false })")
    await page.evaluate("other.switchTo('sage')")
    assert await page.evaluate("other.agentId") == "sage"


async def test_the_same_words_twice_are_known_again_each_once(bench):
    script = """async () => {
      const { TranscriptAssembler } = await import("/transcript-assembler.js");
      const assembler = new TranscriptAssembler({ agentId: "elena" });
      const yes = (id) => ({ id, speaker: "user", text: "Yes." });
      assembler.replay([yes("U1"), yes("U2")], 0);
      const turns = [];
      for (const [id, previous_item_id] of [["x1", null], ["x2", "x1"]]) {
        for (const type of ["added", "created"]) {
          const content = [{ type: "input_text", text: "Yes." }];
          const item = { id, type: "message", role: "user", content };
          const event = { type: "conversation.item." + type, previous_item_id, item };
          turns.push(...assembler.receive(event, 1).turns);
        }
      }
      return turns;
    }"""
    assert await bench.evaluate(script) == []


async def test_a_session_that_was_put_away_says_nothing_to_the_next(page, services):
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))
    await page.click("#start")
    await is_in(page, "ended")
    await page.evaluate("engram.session.startAnew()")
    await says(page, heard("U1", "My secret."))
    await services.has_posted(["U1"])
    services.token = {"session_id": "session-2"}
    await start(page)
    await says(page, added("A2", None, "assistant"), delta("A2", "Hello."), done("A2", "Hello."))
    await services.has_posted(["U1"], ["A2"])
    assert services.posts[1]["turns"][0]["previous_turn_id"] is None
    assert await page.evaluate("azure.calls[1].heard") == []
