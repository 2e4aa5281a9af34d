"""The user speaks, the model answers, and either may interrupt: the events and their order."""

import pytest

from tests.simulated.talk import conversation, generated, kinds, of_kind, sent, spoken, wished
from tests.simulator.conversation import Commit, Hush, Say, Transcribe


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


def test_an_utterance_that_the_client_ends_is_written_down_and_not_answered():
    talk = conversation()
    started = talk.speech_started(100)
    assert sent(talk, type="input_audio_buffer.commit") == [Commit()]
    committed = talk.committed(b"")
    item_id = started[0]["item_id"]
    assert kinds(committed)[0] == "input_audio_buffer.committed"
    assert committed[0]["item_id"] == item_id
    assert kinds(talk.transcribed(item_id, "good morn")) == [
        "conversation.item.input_audio_transcription.completed"
    ]


def test_there_is_nothing_to_end_when_nobody_speaks():
    [refused] = sent(conversation(), type="input_audio_buffer.commit")
    assert refused["error"]["code"] == "input_audio_buffer_commit_empty"


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
