"""A conversation without a call: what happens in it, and what came out."""

import json
from itertools import count

from tests.simulator.conversation import Conversation, Say, Transcribe
from tests.simulator.scenarios import SCENARIOS, Scenario
from tests.simulator.session_rules import default_session, updated


def conversation(scenario="happy", *, first_words=True, played_ms=0, **change):
    numbers = count(1)
    return Conversation(
        updated(default_session(), {"type": "realtime", **change}),
        SCENARIOS.get(scenario, Scenario(scenario)),
        played_ms=lambda: played_ms,
        first_words=lambda: first_words,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
    )


def kinds(outputs):
    return [one["type"] if isinstance(one, dict) else type(one) for one in outputs]


def of_kind(outputs, kind):
    return [one for one in outputs if isinstance(one, dict) and one["type"] == kind]


def spoken(talk, text):
    """One utterance of the user, recognised as ``text``."""
    heard = [*talk.speech_started(100), *talk.speech_stopped(900, b"")]
    wish = next(one for one in heard if isinstance(one, Transcribe))
    return [*heard, *talk.transcribed(wish.item_id, text)]


def wished(outputs):
    return next(one for one in outputs if isinstance(one, Say))


def generated(talk, say, words=1):
    """The answer as far as ``words`` deltas, and its audio begun."""
    deltas = [talk.said(say.response_id, word) for word in say.text.split()[:words]]
    return [*talk.audible(say.response_id), *(event for delta in deltas for event in delta)]


def sent(talk, **event):
    return talk.client(json.dumps(event))


def written(text, role="user"):
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
