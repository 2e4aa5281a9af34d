"""What the client may ask of a conversation over the data channel, and what it hears of it."""

import pytest

from tests.simulated.talk import conversation, generated, kinds, of_kind, sent, spoken, wished, written
from tests.simulator.conversation import Hush


def test_a_written_question_gets_a_spoken_answer():
    talk = conversation()
    announced = sent(talk, type="conversation.item.create", item=written("hello there"))
    outputs = sent(talk, type="response.create")

    assert kinds(announced)[:2] == ["conversation.item.added", "conversation.item.created"]
    assert wished(outputs).audible
    assert wished(outputs).text == "You said: hello there."


def test_a_written_session_answers_in_writing():
    talk = conversation(output_modalities=["text"])
    say = wished(sent(talk, type="response.create"))
    assert not say.audible
    assert kinds(talk.said(say.response_id, "Hello")) == ["response.output_text.delta"]


def test_history_is_put_where_the_client_says():
    talk = conversation()
    sent(talk, type="conversation.item.create", item=written("second") | {"id": "b"})
    first = sent(
        talk, type="conversation.item.create", previous_item_id="root", item=written("first") | {"id": "a"}
    )
    between = written("between", role="assistant") | {"id": "c"}
    middle = sent(talk, type="conversation.item.create", previous_item_id="a", item=between)

    assert first[0]["previous_item_id"] is None
    assert middle[0]["previous_item_id"] == "a"


def test_turn_detection_can_leave_the_answer_to_the_client():
    talk = conversation(audio={"input": {"turn_detection": {"create_response": False}}})
    assert "response.created" not in kinds(spoken(talk, "good morning"))
    assert wished(sent(talk, type="response.create")).text == "You said: good morning."


def test_the_client_stops_the_text_and_then_the_sound():
    talk = conversation()
    say = wished(sent(talk, type="response.create"))
    generated(talk, say)

    cancelled = sent(talk, type="response.cancel")
    cleared = sent(talk, type="output_audio_buffer.clear")
    assert (
        of_kind(cancelled, "response.done")[0]["response"]["status_details"]["reason"] == "client_cancelled"
    )
    assert kinds(cleared) == [Hush, "output_audio_buffer.cleared", "conversation.item.truncated"]


def test_a_session_update_changes_only_what_it_names():
    talk = conversation()
    change = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    outcome = sent(talk, type="session.update", session=change)[0]
    assert outcome["type"] == "session.updated"
    assert outcome["session"]["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.0,
    }


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_json"),
        ("[]", "invalid_event"),
        ('{"type": "nonsense"}', "invalid_value"),
        ('{"type": "response.cancel"}', "response_cancel_not_active"),
        ('{"type": "session.update", "session": {"type": "realtime", "voice": "ash"}}', "unknown_parameter"),
        (
            '{"type": "conversation.item.create", "item": {"type": "message", "role": "robot"}}',
            "invalid_value",
        ),
    ],
)
def test_what_azure_would_not_accept_comes_back_as_an_error_event(message, code):
    outputs = conversation().client(message)
    assert kinds(outputs) == ["error"]
    assert outputs[0]["error"]["code"] == code


def test_a_second_answer_waits_for_the_first():
    talk = conversation()
    sent(talk, type="response.create")
    again = sent(talk, type="response.create", event_id="e2")[0]["error"]
    assert (again["code"], again["event_id"]) == ("conversation_already_has_active_response", "e2")


def test_a_session_that_expires_says_so():
    assert conversation("session-expires").expired()[0]["error"]["code"] == "session_expired"
