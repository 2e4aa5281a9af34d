"""One response of the model as the events it emits, in the order that the API promises; pure.

Source: the examples of https://github.com/openai/openai-openapi (x-oaiMeta, checked 2026-11-20).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.events import Event
from tests.simulator.items import Item, Items
from tests.simulator.session_rules import PCM


@dataclass(frozen=True, slots=True)
class Modality:
    """How the wire names things when the model speaks, and when it writes."""

    part: str  # in response.content_part.*
    content: str  # in an item
    text_key: str  # where the words stand
    event: str  # prefix of .delta and .done


SPOKEN = Modality("audio", "output_audio", "transcript", "response.output_audio_transcript")
WRITTEN = Modality("text", "output_text", "text", "response.output_text")

LIMITS = [
    {"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 60},
    {"name": "tokens", "limit": 50000, "remaining": 49950, "reset_seconds": 60},
]
USAGE = {
    "total_tokens": 60,
    "input_tokens": 40,
    "output_tokens": 20,
    "input_token_details": {"text_tokens": 30, "audio_tokens": 10, "image_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 8, "audio_tokens": 12},
}


@dataclass(slots=True)
class Response:
    """``opened`` → ``said``* → ``closed``. What was said so far stays with it, also when it is cut."""

    id: str
    item: Item
    modality: Modality
    voice: str
    conversation_id: str
    metadata: dict[str, Any] | None = None
    text: str = field(default="", init=False)

    def opened(self, items: Items) -> list[Event]:
        added = items.append(self.item)
        return [
            {"type": "response.created", "response": self._response("in_progress")},
            {"type": "rate_limits.updated", "rate_limits": deepcopy(LIMITS)},
            self._event("response.output_item.added", item=deepcopy(self.item)),
            *added,
            self._part_event("response.content_part.added"),
        ]

    def said(self, delta: str) -> list[Event]:
        self.text += delta
        return [self._part_event(f"{self.modality.event}.delta", delta=delta)]

    def closed(self, items: Items, *, status: str = "completed", reason: str | None = None) -> list[Event]:
        """The end, also of a cut response: what was generated, then ``response.done`` with the reason."""
        self.item["status"] = "completed" if status == "completed" else "incomplete"
        self.item["content"] = [{"type": self.modality.content, self.modality.text_key: self.text}]
        text = {self.modality.text_key: self.text}
        return [
            self._part_event(f"{self.modality.event}.done", **text),
            self._part_event("response.content_part.done"),
            self._event("response.output_item.done", item=deepcopy(self.item)),
            items.done(self.item),
            {"type": "response.done", "response": self._response(status, reason)},
        ]

    def _event(self, kind: str, **fields: object) -> Event:
        return {"type": kind, "response_id": self.id, "output_index": 0, **fields}

    def _part_event(self, kind: str, **fields: object) -> Event:
        if ".content_part." in kind:
            fields = {"part": {"type": self.modality.part, self.modality.text_key: self.text}}
        return self._event(kind, item_id=self.item["id"], content_index=0, **fields)

    def _response(self, status: str, reason: str | None = None) -> dict[str, Any]:
        over = status != "in_progress"
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": {"type": status, "reason": reason} if reason else None,
            "output": [deepcopy(self.item)] if over else [],
            "conversation_id": self.conversation_id,
            "output_modalities": [self.modality.part],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": PCM, "voice": self.voice}},
            "usage": deepcopy(USAGE) if over else None,
            "metadata": self.metadata,
        }
