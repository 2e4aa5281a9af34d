"""Whatever happens in a conversation, and in whatever order, its answers stay whole."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.simulated.talk import conversation, of_kind, sent
from tests.simulator.conversation import Output, Say, Transcribe

CLIENT_EVENTS: dict[str, dict[str, Any]] = {
    "create": {"type": "response.create"},
    "cancel": {"type": "response.cancel"},
    "clear": {"type": "output_audio_buffer.clear"},
    "delete": {"type": "conversation.item.delete", "item_id": "item_4"},
    "write": {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}},
}


@example(["start", "start", "hear", "say", "say"])
@example(["create", "say", "drain", "say"])
@given(
    st.lists(st.sampled_from(["start", "stop", "hear", "say", "end", "drain", *CLIENT_EVENTS]), max_size=40)
)
def test_whatever_happens_every_answer_ends_once_and_in_order(happenings):
    talk, said = conversation(first_words=False), None
    waiting: list[str] = []
    seen: list[Output] = []
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
        # Nothing has sounded to its end that was not yet made.
        "drain": lambda: [*talk.finished(response), *talk.drained(response)],
    }
    return steps[happening]() if happening in steps else sent(talk, **CLIENT_EVENTS[happening])
