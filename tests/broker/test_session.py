"""What an agent is told: its prompt, and what is remembered, as data it cannot obey."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.agents import REALTIME_VOICES, load_agents
from broker.session import (
    FACT_CHARACTERS,
    MEMORY_CHARACTERS,
    Transcription,
    TurnDetection,
    fenced,
    quotable,
    session_for,
)


def test_every_agent_has_a_prompt_and_a_voice_that_realtime_knows():
    agents = load_agents()
    assert list(agents) == ["elena", "marcus", "sage"]
    for agent in agents.values():
        assert agent.voice in REALTIME_VOICES
        assert agent.azure_voice not in REALTIME_VOICES
        assert agent.name in agent.instructions


def test_a_prompt_never_leaves_with_what_anyone_may_know():
    for agent in load_agents().values():
        assert "instructions" not in agent.public()
        assert agent.instructions not in agent.public().values()


def test_a_configured_azure_voice_is_kept_beside_and_not_spoken():
    agents = load_agents("en-US-Jenny:DragonHDLatestNeural")
    assert agents["elena"].voice == "marin"
    assert agents["elena"].azure_voice == "en-US-Jenny:DragonHDLatestNeural"


def test_a_configured_realtime_voice_is_spoken():
    assert load_agents("verse")["elena"].voice == "verse"


def test_nothing_remembered_leaves_the_prompt_as_it_is():
    elena = load_agents()["elena"]
    spec = session_for(elena, [], turn_detection=TurnDetection(), transcription=Transcription())
    assert spec.instructions == elena.instructions


def test_what_is_remembered_stands_between_fences_as_quoted_data():
    text = fenced(quotable(["likes tea", "lives in Paris"]))
    assert text.count("<memory>") == text.count("</memory>") == 1
    assert "- likes tea\n- lives in Paris\n</memory>" in text


@given(st.lists(st.text(max_size=400), max_size=40))
def test_no_fact_can_close_the_fence_or_grow_beyond_the_cap(facts):
    text = fenced(quotable(facts))
    assert text.count("<memory>") == text.count("</memory>") == (1 if facts else 0)
    body = text.partition("<memory>\n")[2].rpartition("\n</memory>")[0]
    assert len(body) <= MEMORY_CHARACTERS
    assert all(line.startswith("- ") for line in body.splitlines())


def test_control_text_is_stripped_from_a_fact():
    assert quotable(["a\x00b\u202ec"]) == ("a b c",)


def test_a_talkative_person_is_remembered_too():
    kept = quotable(["x" * 5_000, *(f"fact {number}" for number in range(500))])
    assert kept[0] == "x" * (FACT_CHARACTERS - 1) + "…"
    assert kept[1:4] == ("fact 0", "fact 1", "fact 2")
    assert len(fenced(kept)) < MEMORY_CHARACTERS + 400
