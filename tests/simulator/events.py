"""Event shapes that no item and no response owns; pure.

Source: the examples of https://github.com/openai/openai-openapi (x-oaiMeta, checked 2026-11-20).
"""

from __future__ import annotations

import json
from typing import Any

from tests.simulator import refusals

Event = dict[str, Any]


def client_event(text: str) -> Event:
    """A client's message as an event with a type. Raises `Refusal`."""
    try:
        event = json.loads(text)
    except ValueError as exc:
        raise refusals.detailed(400, "invalid_json", "Could not parse the event as JSON.") from exc
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise refusals.detailed(400, "invalid_event", "The 'type' field is missing.")
    return event


def error(cause: dict[str, object], event_id: str | None = None) -> Event:
    known = {"type": "invalid_request_error", "code": None, "message": "", "param": None}
    return {"type": "error", "error": known | cause | {"event_id": event_id}}


def speech(verb: str, item_id: str, **at: int) -> Event:
    return {"type": f"input_audio_buffer.speech_{verb}", **at, "item_id": item_id}


def transcribed(item_id: str, text: str) -> Event:
    usage = {"type": "duration", "seconds": 1}
    return transcription("completed", item_id, transcript=text, usage=usage)


def untranscribable(item_id: str) -> Event:
    text = f"Input transcription failed for item '{item_id}'."
    cause = {"type": "server_error", "code": None, "message": text, "param": None}
    return transcription("failed", item_id, error=cause)


def transcription(outcome: str, item_id: str, **fields: object) -> Event:
    kind = f"conversation.item.input_audio_transcription.{outcome}"
    return {"type": kind, "item_id": item_id, "content_index": 0, **fields}


def output_audio(verb: str, response_id: str) -> Event:
    return {"type": f"output_audio_buffer.{verb}", "response_id": response_id}


def truncated(item_id: str, heard_ms: int) -> Event:
    return {
        "type": "conversation.item.truncated",
        "item_id": item_id,
        "content_index": 0,
        "audio_end_ms": heard_ms,
    }
