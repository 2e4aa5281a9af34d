"""The events of a call as Azure sends them."""

from __future__ import annotations


def started(item):
    return {"type": "input_audio_buffer.speech_started", "item_id": item}


def stopped(item):
    return {"type": "input_audio_buffer.speech_stopped", "item_id": item}


def added(item, previous, role="user", kind="added", content=()):
    said = {"id": item, "type": "message", "role": role, "content": list(content)}
    return {"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": said}


def heard(item, text):
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item,
        "transcript": text,
    }


def delta(item, text, name="output_audio_transcript", response="R"):
    return {"type": f"response.{name}.delta", "item_id": item, "response_id": response, "delta": text}


def done(item, text, name="output_audio_transcript", response="R"):
    field = "text" if name.endswith("text") else "transcript"
    return {"type": f"response.{name}.done", "item_id": item, "response_id": response, field: text}


def sound(what, response="R"):
    return {"type": f"output_audio_buffer.{what}", "response_id": response}
