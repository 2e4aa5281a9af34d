"""One conversation as a state machine: what happens goes in, events and wishes come out. No I/O, no clock.

The user: silent → speaking: ``speech_started``; → transcribing: ``speech_stopped``; → silent: ``transcribed``
A response: none → generating: ``_respond``; → none: ``finished`` or cut.
Its audio: silent → playing: ``audible``; → silent: ``drained`` or cut.
Generating is ahead of playing, so a response can be over and still be heard.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulator import events, refusals, replies
from tests.simulator.events import Event, client_event, error
from tests.simulator.items import Items, message, words_of, written_by_client
from tests.simulator.response import SPOKEN, WRITTEN, Response
from tests.simulator.scenarios import Scenario
from tests.simulator.session_rules import Session, at, updated


@dataclass(frozen=True, slots=True)
class Transcribe:
    """A wish: turn this utterance into words and report them to `Conversation.transcribed`."""

    item_id: str
    samples: bytes  # 16 kHz mono 16-bit


@dataclass(frozen=True, slots=True)
class Say:
    """A wish: generate these words, report them piece by piece, and speak them unless they are written."""

    response_id: str
    text: str
    voice: str
    audible: bool


@dataclass(frozen=True, slots=True)
class Hush:
    """A wish: stop generating and speaking at once."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A wish: end the utterance that is being heard, and report it to `Conversation.committed`."""


Output = Event | Transcribe | Say | Hush | Commit


def random_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"


class Conversation:
    """Keeps items and responses in order. ``played_ms`` tells how much of the current audio was heard."""

    def __init__(
        self,
        session: Session,
        scenario: Scenario,
        *,
        played_ms: Callable[[], int],
        first_words: Callable[[], bool] = lambda: secrets.randbelow(2) == 0,
        new_id: Callable[[str], str] = random_id,
    ) -> None:
        self.session = session | {"id": new_id("sess")}
        self._scenario = scenario
        self._played_ms = played_ms
        self._first_words = first_words  # does the user's transcript come before the answer?
        self._new_id = new_id
        self._id = new_id("conv")
        self._items = Items()
        self._speaking: str | None = None  # the user's item while they speak
        self._transcribing: list[str] = []
        self._unasked: set[str] = (
            set()
        )  # utterances that the client ended: those are not answered by themselves
        self._asked: dict[str, Any] | None = None  # a response.create that waits for words
        self._generating: Response | None = None
        self._playing: Response | None = None
        self._held: list[Event] = []  # user transcripts that are to come late
        self._accepts: dict[str, Callable[[dict[str, Any]], list[Output]]] = {
            "session.update": self._update,
            "conversation.item.create": self._write,
            "conversation.item.delete": self._delete,
            "response.create": self._create_response,
            "response.cancel": self._cancel,
            "output_audio_buffer.clear": self._clear,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": lambda _: [{"type": "input_audio_buffer.cleared"}],
        }

    def opened(self) -> list[Event]:
        return [{"type": "session.created", "session": self.session}]

    def expired(self) -> list[Event]:
        text = "Your session hit the maximum duration of 30 minutes."
        return [error({"code": "session_expired", "message": text})]

    def client(self, text: str) -> list[Output]:
        """A message of the client. What Azure would refuse comes back as one ``error`` event."""
        event: dict[str, Any] = {}
        try:
            event = client_event(text)
            accept = self._accepts.get(event["type"])
            if accept is None:
                raise refusals.detailed(400, "invalid_value", f"Invalid value: '{event['type']}'.", "type")
            return accept(event)
        except refusals.Refusal as refusal:
            return [error(refusal.error, event.get("event_id"))]

    def speech_started(self, at_ms: int) -> list[Output]:
        self._speaking = self._new_id("item")
        started = events.speech("started", self._speaking, audio_start_ms=at_ms)
        interrupts = at(self.session, "audio.input.turn_detection.interrupt_response")
        return [started, *(self._cut("turn_detected") if interrupts else ())]

    def speech_stopped(self, at_ms: int, samples: bytes) -> list[Output]:
        item_id = self._speaking or self._new_id("item")
        return [events.speech("stopped", item_id, audio_end_ms=at_ms), *self._uttered(item_id, samples)]

    def committed(self, samples: bytes) -> list[Output]:
        """The client ended the utterance itself."""
        item_id = self._speaking or self._new_id("item")
        self._unasked.add(item_id)
        return self._uttered(item_id, samples)

    def _uttered(self, item_id: str, samples: bytes) -> list[Output]:
        item = message(item_id, "user", [{"type": "input_audio", "transcript": None}])
        self._speaking = None
        self._transcribing.append(item["id"])
        before = self._items.last_id()
        return [
            {"type": "input_audio_buffer.committed", "previous_item_id": before, "item_id": item["id"]},
            *self._items.append(item),
            self._items.done(item),
            Transcribe(item["id"], samples),
        ]

    def transcribed(self, item_id: str, text: str) -> list[Output]:
        """The words of an utterance; none means noise, which nobody answers."""
        self._transcribing.remove(item_id)
        item = self._items.find(item_id)
        if item is not None:
            item["content"][0]["transcript"] = text
        completed: list[Output] = [*self._completed(item_id, text)]
        is_wanted = self._asked is not None or (text and item_id not in self._unasked)
        if not is_wanted or not self._answers_now():
            return completed
        if self._scenario.user_transcript == "around" and self._first_words():
            return [*completed, *self._respond(self._asked)]
        self._held += self._completed(item_id, text)
        return self._respond(self._asked)

    def untranscribable(self, item_id: str) -> list[Output]:
        self._transcribing.remove(item_id)
        if at(self.session, "audio.input.transcription") is None:
            return []
        return [events.untranscribable(item_id)]

    def audible(self, response_id: str) -> list[Output]:
        if self._generating is None or self._generating.id != response_id:
            return []
        if self._playing is self._generating:
            return []
        self._playing = self._generating
        return [events.output_audio("started", response_id)]

    def said(self, response_id: str, delta: str) -> list[Output]:
        if self._generating is None or self._generating.id != response_id:
            return []
        held = [] if self._scenario.user_transcript == "late" else self._released()
        return [*self._generating.said(delta), *held]

    def finished(self, response_id: str) -> list[Output]:
        if self._generating is None or self._generating.id != response_id:
            return []
        over, self._generating = self._generating, None
        return [*over.closed(self._items), *self._released()]

    def drained(self, response_id: str) -> list[Output]:
        if self._playing is None or self._playing.id != response_id:
            return []
        self._playing = None
        return [events.output_audio("stopped", response_id)]

    def _answers_now(self) -> bool:
        """Only the last utterance of several is answered, and nobody who still speaks."""
        wanted = self._asked is not None or at(self.session, "audio.input.turn_detection.create_response")
        return bool(wanted) and self._speaking is None and not self._transcribing and self._generating is None

    def _respond(self, asked: dict[str, Any] | None) -> list[Output]:
        self._asked = None
        asked = asked or {}
        modality = (
            WRITTEN
            if asked.get("output_modalities", self.session["output_modalities"]) == ["text"]
            else SPOKEN
        )
        item = message(self._new_id("item"), "assistant", [], status="in_progress")
        voice = at(self.session, "audio.output.voice")
        response = Response(self._new_id("resp"), item, modality, voice, self._id, asked.get("metadata"))
        words = self._words()
        self._generating = response
        return [*response.opened(self._items), Say(response.id, words, voice, audible=modality is SPOKEN)]

    def _words(self) -> str:
        heard = self._items.last_of("user")
        instructions = self.session.get("instructions") or ""
        return replies.reply_to(words_of(heard), instructions) if heard else replies.greeting(instructions)

    def _cut(self, reason: str) -> list[Output]:
        """Stop what is being generated and heard; the text so far stays, the unheard audio is truncated."""
        outputs: list[Output] = [Hush()] if self._generating or self._playing else []
        if self._generating is not None:
            cut, self._generating = self._generating, None
            outputs += [*cut.closed(self._items, status="cancelled", reason=reason), *self._released()]
        if self._playing is not None:
            heard, self._playing = self._playing, None
            outputs.append(events.output_audio("cleared", heard.id))
            outputs.append(events.truncated(heard.item["id"], self._played_ms()))
        return outputs

    def _completed(self, item_id: str, text: str) -> list[Event]:
        off = at(self.session, "audio.input.transcription") is None
        if off or self._scenario.user_transcript == "missing":
            return []
        return [events.transcribed(item_id, text)]

    def _released(self) -> list[Event]:
        held, self._held = self._held, []
        return held

    def _update(self, event: dict[str, Any]) -> list[Output]:
        self.session = updated(self.session, event.get("session"))
        return [{"type": "session.updated", "session": self.session}]

    def _write(self, event: dict[str, Any]) -> list[Output]:
        asked = event.get("item")
        chosen = asked.get("id") if isinstance(asked, dict) else None
        if chosen is not None and self._items.find(chosen) is not None:
            raise refusals.detailed(400, "item_already_exists", f"Item '{chosen}' already exists.", "item.id")
        item = written_by_client(asked, chosen or self._new_id("item"))
        after = event.get("previous_item_id") or self._items.last_id()
        announced = self._items.insert(item, after=None if after == "root" else after)
        return [*announced, self._items.done(item)]

    def _delete(self, event: dict[str, Any]) -> list[Output]:
        return [self._items.delete(str(event.get("item_id")))]

    def _commit(self, _event: dict[str, Any]) -> list[Output]:
        if self._speaking is None:
            text = "Error committing input audio buffer: buffer too small."
            raise refusals.detailed(400, "input_audio_buffer_commit_empty", text)
        return [Commit()]

    def _create_response(self, event: dict[str, Any]) -> list[Output]:
        asked = event.get("response") or {}
        if self._generating is not None:
            text = f"Conversation already has an active response in progress: {self._generating.id}."
            raise refusals.detailed(400, "conversation_already_has_active_response", text)
        if self._transcribing:  # the model listens to the audio; here it must first become words
            self._asked = asked
            return []
        return self._respond(asked)

    def _cancel(self, event: dict[str, Any]) -> list[Output]:
        """Stop generating. Audio that already plays goes on until it is cleared, as with Azure."""
        generating = self._generating
        if generating is None or event.get("response_id", generating.id) != generating.id:
            raise refusals.detailed(
                400, "response_cancel_not_active", "Cancellation failed: no active response found."
            )
        if self._playing is not generating:
            return self._cut("client_cancelled")
        self._generating = None
        over = generating.closed(self._items, status="cancelled", reason="client_cancelled")
        return [*over, *self._released()]

    def _clear(self, _event: dict[str, Any]) -> list[Output]:
        return self._cut("client_cancelled")
