"""The assembler: events in any order become turns in one order, each once."""

from __future__ import annotations

import json
import random

import pytest

from tests.web.modules.realtime_events import added, delta, done, heard, sound, started, stopped

pytestmark = pytest.mark.asyncio(loop_scope="session")


def expire(at_ms):
    return {"expire": at_ms}


FLUSH = {"flush": True}

# Both ways as JSON: Playwright's own encoding of thousands of events takes a second.
ASSEMBLE = """async (scripts) => {
  const { TranscriptAssembler } = await import("/transcript-assembler.js");
  const results = JSON.parse(scripts).map((script) => {
    const assembler = new TranscriptAssembler({ agentId: "elena" });
    const turns = [];
    script.forEach((step, ms) => {
      if (step.flush) turns.push(...assembler.flush().turns);
      else if (step.expire) turns.push(...assembler.expire(step.expire).turns);
      else turns.push(...assembler.receive(step, ms).turns);
    });
    return { turns, lines: assembler.lines() };
  });
  return JSON.stringify(results);
}"""


async def assemble_all(page, scripts):
    return json.loads(await page.evaluate(ASSEMBLE, json.dumps(scripts)))


async def assemble(page, *script):
    [result] = await assemble_all(page, [script])
    return result


def texts(result):
    return [turn["text"] for turn in result["turns"]]


async def test_a_question_heard_late_is_released_before_its_answer(bench):
    asked = [started("U1"), stopped("U1"), added("U1", None), added("A1", "U1", "assistant")]
    answered = [delta("A1", "Hi"), done("A1", "Hi there.")]

    early = await assemble(bench, *asked, *answered)
    result = await assemble(bench, *asked, *answered, heard("U1", " Hello? "))

    assert early["turns"] == []
    assert texts(result) == ["Hello?", "Hi there."]
    first, second = result["turns"]
    assert first | {"spoken_at": ""} == {
        "turn_id": "U1",
        "previous_turn_id": None,
        "speaker": "user",
        "text": "Hello?",
        "agent_id": "elena",
        "spoken_at": "",
        "interrupted": False,
    }
    assert first["spoken_at"] == "1970-01-01T00:00:00.000Z"
    assert (second["previous_turn_id"], second["speaker"]) == ("U1", "assistant")


async def test_an_item_that_is_both_added_and_created_is_one_turn(bench):
    result = await assemble(
        bench, added("U1", None), added("U1", None, kind="created"), heard("U1", "Hello?")
    )
    assert texts(result) == ["Hello?"]


@pytest.mark.parametrize("name", ["output_audio_transcript", "audio_transcript", "output_text", "text"])
async def test_newer_and_older_names_of_an_answer_mean_the_same(bench, name):
    item = added("A1", None, "assistant", kind="created")

    partial = await assemble(bench, item, delta("A1", "Good ", name), delta("A1", "day", name))
    result = await assemble(bench, item, delta("A1", "Good ", name), done("A1", "Good day.", name))

    assert [(line["text"], line["state"]) for line in partial["lines"]] == [("Good day", "partial")]
    assert texts(result) == ["Good day."]


async def test_written_words_are_a_turn_at_once(bench):
    content = [{"type": "input_text", "text": "Hello in writing"}]
    assert texts(await assemble(bench, added("U1", None, content=content))) == ["Hello in writing"]


async def test_noise_without_words_is_no_turn_and_holds_nothing_up(bench):
    noise = [started("U1"), stopped("U1"), added("U1", None), heard("U1", "  ")]
    result = await assemble(bench, *noise, added("A1", "U1", "assistant"), done("A1", "Hm?"))
    assert texts(result) == ["Hm?"]
    assert [line["turnId"] for line in result["lines"]] == ["A1"]


async def test_speech_without_a_transcript_is_given_up_after_ten_seconds(bench):
    script = [
        started("U1"),
        stopped("U1"),
        added("U1", None),
        added("A1", "U1", "assistant"),
        done("A1", "Hm?"),
    ]

    waiting = await assemble(bench, *script, expire(9_000))
    result = await assemble(bench, *script, expire(10_002))

    assert waiting["turns"] == []
    assert waiting["lines"][0]["state"] == "partial"
    assert texts(result) == ["Hm?"]
    assert [line["state"] for line in result["lines"]] == ["unheard", "final"]


async def test_words_that_come_after_all_are_still_released(bench):
    script = [started("U1"), stopped("U1"), added("U1", None), expire(60_000), heard("U1", "I was slow.")]
    assert texts(await assemble(bench, *script)) == ["I was slow."]


async def test_an_answer_that_is_slow_to_begin_was_not_interrupted(bench):
    script = [added("A1", None, "assistant"), expire(10_002), delta("A1", "Well"), done("A1", "Well, now.")]
    result = await assemble(bench, *script)
    assert [(turn["text"], turn["interrupted"]) for turn in result["turns"]] == [("Well, now.", False)]


async def test_a_person_may_speak_for_minutes(bench):
    result = await assemble(bench, started("U1"), expire(600_000))
    assert [line["state"] for line in result["lines"]] == ["partial"]


async def test_an_answer_stays_open_until_its_sound_stops(bench):
    script = [added("A1", None, "assistant"), sound("started"), delta("A1", "Well"), done("A1", "Well, now.")]
    assert (await assemble(bench, *script))["turns"] == []
    assert texts(await assemble(bench, *script, sound("stopped"))) == ["Well, now."]


@pytest.mark.parametrize("is_complete", [True, False], ids=["text complete", "text still coming"])
async def test_talking_over_an_answer_marks_it_interrupted(bench, is_complete):
    whole = done("A1", "Then I would split")
    script = [added("A1", None, "assistant"), sound("started"), delta("A1", "Then I"), started("U1")]
    script.insert(3 if is_complete else 4, whole)

    result = await assemble(bench, *script)

    assert [(turn["text"], turn["interrupted"]) for turn in result["turns"]] == [("Then I would split", True)]
    assert [line["state"] for line in result["lines"]] == ["interrupted", "partial"]


async def test_an_answer_that_was_heard_to_its_end_is_not_interrupted_by_the_next_question(bench):
    answer = [added("A1", None, "assistant"), sound("started"), done("A1", "Yes."), sound("stopped")]
    result = await assemble(bench, *answer, started("U1"))
    assert [turn["interrupted"] for turn in result["turns"]] == [False]


async def test_the_end_of_a_call_releases_what_was_heard_of_an_answer(bench):
    script = [
        added("A1", None, "assistant"),
        sound("started"),
        delta("A1", "I was about to"),
        started("U1"),
        FLUSH,
    ]
    result = await assemble(bench, *script)
    assert [(turn["text"], turn["interrupted"]) for turn in result["turns"]] == [("I was about to", True)]


async def test_tool_calls_and_unknown_events_take_no_line(bench):
    tool = {
        "type": "conversation.item.added",
        "previous_item_id": None,
        "item": {"id": "F1", "type": "function_call"},
    }
    script = [tool, {"type": "rate_limits.updated"}, added("A1", "F1", "assistant"), done("A1", "Done.")]
    result = await assemble(bench, *script)
    assert [line["turnId"] for line in result["lines"]] == ["A1"]
    assert texts(result) == ["Done."]


async def test_an_item_that_arrives_before_its_predecessor_is_put_behind_it(bench):
    late = [added("U2", "A1"), added("U1", None), added("A1", "U1", "assistant")]
    result = await assemble(
        bench, *late, heard("U2", "two"), done("A1", "one and a half"), heard("U1", "one")
    )
    assert texts(result) == ["one", "one and a half", "two"]


def conversation(rng):
    """One possible order of a conversation's events, and what must come of it: (turn id, interrupted)."""
    events, late, expected, previous = [], [], [], None
    for n in range(rng.randint(1, 6)):
        user, agent, response = f"U{n}", f"A{n}", f"R{n}"
        words = rng.choice(["", f"question {n}"])
        events += [started(user), stopped(user), added(user, previous)]
        late.append((rng.randint(len(events), len(events) + 25), heard(user, words)))
        events += [added(user, previous, kind="created")] * rng.randint(0, 1)
        events += [added(agent, user, "assistant"), sound("started", response)]
        answer = [delta(agent, "some ", response=response), done(agent, f"answer {n}", response=response)]
        is_cut = rng.random() < 0.4
        events += answer if not is_cut or rng.random() < 0.5 else answer[:1]
        if not is_cut:
            events.append(sound("stopped", response))
        elif events[-1] is answer[0]:
            late.append((len(events) + 1, answer[1]))  # said after the next speech_started
        expected += [(user, False)] if words else []
        expected.append((agent, is_cut))
        previous = agent
    events.append(started("end"))
    for position, event in sorted(late, key=lambda entry: -entry[0]):
        events.insert(min(position, len(events)), event)
    return [*events, FLUSH], expected


async def test_any_order_of_arrival_gives_the_same_turns_each_once(bench):
    rng = random.Random(20)
    conversations = [conversation(rng) for _ in range(250)]

    results = await assemble_all(bench, [events for events, _ in conversations])

    for (events, expected), result in zip(conversations, results, strict=True):
        turns = result["turns"]
        assert [(turn["turn_id"], turn["interrupted"]) for turn in turns] == expected, json.dumps(events)
        ids = [turn["turn_id"] for turn in turns]
        assert [turn["previous_turn_id"] for turn in turns] == [None, *ids][: len(ids)]
