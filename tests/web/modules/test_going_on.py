"""The pure parts of going on: who speaks now, what the next call is told, when it is tried again."""

from __future__ import annotations

import pytest

from tests.web.modules.realtime_events import added, delta, done, heard, started, stopped

pytestmark = pytest.mark.asyncio(loop_scope="session")

STATE = """async ([state, event]) => {
  const { stateAfter } = await import("/session-state.js");
  return stateAfter(state, event);
}"""


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        ("speaking", "input_audio_buffer.speech_started", "listening"),
        ("listening", "input_audio_buffer.speech_stopped", "thinking"),
        ("thinking", "output_audio_buffer.started", "speaking"),
        ("speaking", "output_audio_buffer.stopped", "listening"),
        ("thinking", "output_audio_buffer.stopped", None),  # of the answer before: the person spoke over it
        ("listening", "output_audio_buffer.stopped", None),
        ("thinking", "response.output_text.done", "listening"),
        ("thinking", "response.text.done", "listening"),
        ("listening", "response.created", "thinking"),
        ("speaking", "response.created", None),
        ("speaking", "output_audio_buffer.cleared", "listening"),
        ("listening", "conversation.item.added", None),
        ("listening", "something.new", None),
    ],
)
async def test_each_event_says_who_speaks_or_nothing(bench, state, event, after):
    assert await bench.evaluate(STATE, [state, {"type": event}]) == after


@pytest.mark.parametrize(
    ("state", "status", "after"),
    [
        ("thinking", "failed", "listening"),
        ("thinking", "incomplete", "listening"),
        ("thinking", "completed", None),
        ("speaking", "cancelled", None),
    ],
)
async def test_an_answer_that_failed_is_not_waited_for_where_azure_says_so(bench, state, status, after):
    event = {"type": "response.done", "response": {"status": status}}
    assert await bench.evaluate(STATE, [state, event]) == after


HISTORY = """async (lines) => {
  const { historyOf } = await import("/replay.js");
  return historyOf(lines).map(({ id }) => id);
}"""


def line(turn_id, text, state="final"):
    return {"turnId": turn_id, "speaker": "user", "text": text, "state": state}


async def test_the_next_call_is_told_the_last_lines_that_have_words(bench):
    lines = [line(f"U{number}", "words") for number in range(30)]
    unheard = [line("U30", "", "unheard"), line("U31", "", "partial"), line("U32", "cut", "interrupted")]
    told = await bench.evaluate(HISTORY, [*lines, *unheard])
    assert told == [*(f"U{number}" for number in range(11, 30)), "U32"]


async def test_the_next_call_is_told_no_more_than_it_can_use(bench):
    lines = [line("U1", "a" * 5_000), line("U2", "b" * 5_000), line("U3", "c" * 999)]
    assert await bench.evaluate(HISTORY, lines) == ["U2", "U3"]


async def test_the_next_call_is_told_the_end_of_a_last_line_that_is_too_long(bench):
    assert await bench.evaluate(HISTORY, [line("U1", "words"), line("U2", "a" * 6_500)]) == ["U2"]


RETRY = """async ({ failures, isPassing, retryAfterMs = 0, withinMs = 60000 }) => {
  const { retrying } = await import("/retrying.js");
  let attempts = 0;
  const attempt = async () => {
    if (attempts++ < failures) throw Object.assign(new Error("no"), { retryAfterMs });
    return "worked";
  };
  const { signal } = new AbortController();
  const trying = retrying(attempt, { withinMs, signal, isPassing: () => isPassing });
  return [await trying.catch(() => "gave up"), attempts];
}"""


async def test_what_passes_is_tried_again_until_it_works(bench):
    assert await bench.evaluate(RETRY, {"failures": 2, "isPassing": True}) == ["worked", 3]


async def test_what_does_not_pass_is_tried_once(bench):
    assert await bench.evaluate(RETRY, {"failures": 1, "isPassing": False}) == ["gave up", 1]


async def test_after_its_time_it_is_given_up(bench):
    wish = {"failures": 99, "isPassing": True, "withinMs": 60}
    for _ in range(20):  # timers fire a moment early, and must not make a burst of it
        assert await bench.evaluate(RETRY, wish) == ["gave up", 2]


async def test_who_is_asked_to_wait_longer_than_there_is_time_gives_up_at_once(bench):
    wish = {"failures": 99, "isPassing": True, "withinMs": 300, "retryAfterMs": 500}
    assert await bench.evaluate(RETRY, wish) == ["gave up", 1]


DRAFTS = """async (events) => {
  const { TranscriptAssembler } = await import("/transcript-assembler.js");
  const assembler = new TranscriptAssembler({ agentId: "elena" });
  for (const event of events) assembler.receive(event, 0);
  return assembler.drafts().map((turn) => [turn.turn_id, turn.text, turn.previous_turn_id]);
}"""


async def test_what_is_being_said_can_be_kept_before_it_is_a_turn(bench):
    question = [started("U1"), stopped("U1"), added("U1", None)]
    answer = [added("A1", "U1", "assistant"), delta("A1", "It is"), delta("A1", " on")]
    assert await bench.evaluate(DRAFTS, [*question, *answer]) == [["A1", "It is on", None]]
    asked = [*question, heard("U1", "Where is it?"), *answer]
    assert await bench.evaluate(DRAFTS, asked) == [["A1", "It is on", "U1"]]
    assert await bench.evaluate(DRAFTS, [*asked, done("A1", "It is on its way.")]) == []
