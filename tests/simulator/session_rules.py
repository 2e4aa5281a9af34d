"""What Azure accepts as a session, in the order in which it looks; pure.

The same values are checked when a session is minted and when a running call sends ``session.update``.
Source: the GA session object of https://github.com/openai/openai-openapi (checked 2026-11-20); Azure's own
order of validation is not published.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from tests.simulator import refusals
from tests.simulator.scenarios import DEPLOYMENT, NOT_REALTIME, Scenario, scenario_of

Session = dict[str, Any]

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
MODEL_VERSION = "gpt-realtime-2025-08-28"

PCM = {"type": "audio/pcm", "rate": 24000}
SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
DEFAULTS: Session = {
    "type": "realtime",
    "object": "realtime.session",
    "model": MODEL_VERSION,
    "output_modalities": ["audio"],
    "instructions": "You are a friendly assistant.",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "expires_at": 0,
    "include": None,
    "audio": {
        "input": {
            "format": PCM,
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": SERVER_VAD,
        },
        "output": {"format": PCM, "voice": "alloy", "speed": 1.0},
    },
}
MAY_SET = (set(DEFAULTS) - {"object", "expires_at"}) | {"reasoning", "parallel_tool_calls"}
RANGES = {  # path -> lowest, highest
    "audio.input.turn_detection.threshold": (0.0, 1.0),
    "audio.input.turn_detection.prefix_padding_ms": (0, 5000),
    "audio.input.turn_detection.silence_duration_ms": (0, 5000),
    "audio.input.turn_detection.idle_timeout_ms": (5000, 30000),
    "audio.output.speed": (0.25, 1.5),
}
CHOICES = {  # path -> allowed values
    "audio.output.voice": VOICES,
    "audio.input.turn_detection.type": ("server_vad", "semantic_vad"),
    "audio.input.turn_detection.eagerness": ("low", "medium", "high", "auto"),
    "audio.input.noise_reduction.type": ("near_field", "far_field"),
}


def checked_mint(body: bytes, known: dict[str, Scenario]) -> tuple[Session, int | None, Scenario]:
    """The effective session, the seconds its token shall live if asked, and how the call will go.

    Raises `Refusal` for the first rule that is broken: JSON, session type, unknown keys, deployment, values.
    """
    document = parsed(body)
    asked = typed_session(document.get("session"))
    refuse_unknown_keys(asked)
    scenario = deployed(asked.get("model"), known)
    refuse_bad_values(asked)
    return (
        merged(DEFAULTS, asked) | {"model": MODEL_VERSION},
        lifetime_s(document.get("expires_after")),
        scenario,
    )


def updated(session: Session, change: object) -> Session:
    """The session after a ``session.update``; only the fields present change. Raises `Refusal`."""
    asked = typed_session(change)
    refuse_unknown_keys(asked)
    refuse_bad_values(asked)
    if asked.get("model", session["model"]) not in (session["model"], DEPLOYMENT):
        raise refusals.detailed(
            400, "cannot_update_model", "Cannot update a session's model.", "session.model"
        )
    return merged(session, {key: value for key, value in asked.items() if key != "model"})


def default_session() -> Session:
    """What a call gets whose token was never minted: everything default, user transcripts on."""
    return merged(DEFAULTS, {"audio": {"input": {"transcription": {"model": "whisper-1"}}}})


def parsed(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as exc:
        raise refusals.detailed(
            400, "invalid_json", "We could not parse the JSON body of your request."
        ) from exc
    if not isinstance(document, dict):
        raise refusals.detailed(400, "invalid_type", "Expected a JSON object as the body.")
    return document


def typed_session(asked: object) -> Session:
    if not isinstance(asked, dict) or asked.get("type") != "realtime":
        raise refusals.detailed(
            400, "InvalidSessionType", "The session type is missing or not supported.", "session.type"
        )
    return asked


def refuse_unknown_keys(asked: Session) -> None:
    for key in asked:
        if key not in MAY_SET:
            param = f"session.{key}"
            raise refusals.detailed(400, "unknown_parameter", f"Unknown parameter: '{param}'.", param)


def deployed(deployment: object, known: dict[str, Scenario]) -> Scenario:
    if deployment in NOT_REALTIME:
        raise refusals.detailed(
            400, "OpperationNotSupported", refusals.NOT_REALTIME
        )  # the misspelling is Azure's
    scenario = scenario_of(str(deployment or ""), known)
    if scenario is None:
        raise refusals.detailed(404, "DeploymentNotFound", refusals.NO_DEPLOYMENT)
    return scenario


def refuse_bad_values(asked: Session) -> None:
    for path, allowed in CHOICES.items():
        value = at(asked, path)
        if value is not None and value not in allowed:
            raise refusals.detailed(
                400, "invalid_value", f"Invalid value: '{value}'. {supported(allowed)}", f"session.{path}"
            )
    for path, (lowest, highest) in RANGES.items():
        refuse_out_of_range(f"session.{path}", at(asked, path), lowest, highest)
    if asked.get("output_modalities", ["audio"]) not in (["audio"], ["text"]):
        message = "Invalid modalities. Supported combinations are: ['audio'] and ['text']."
        raise refusals.detailed(400, "invalid_value", message, "session.output_modalities")
    if asked.get("max_output_tokens", "inf") != "inf":
        refuse_out_of_range("session.max_output_tokens", asked["max_output_tokens"], 1, 4096)


def refuse_out_of_range(param: str, value: object, lowest: float, highest: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"Invalid type for '{param}': expected a number."
        raise refusals.detailed(400, "invalid_type", message, param)
    kind = "integer" if isinstance(lowest, int) else "decimal"
    if value < lowest:
        message = f"{kind} below minimum value. Expected a value >= {lowest}, but got {value} instead."
        raise refusals.detailed(400, f"{kind}_below_min_value", f"Invalid '{param}': {message}", param)
    if value > highest:
        message = f"{kind} above maximum value. Expected a value <= {highest}, but got {value} instead."
        raise refusals.detailed(400, f"{kind}_above_max_value", f"Invalid '{param}': {message}", param)


def lifetime_s(expires_after: object) -> int | None:
    if expires_after is None:
        return None
    if not isinstance(expires_after, dict) or expires_after.get("anchor", "created_at") != "created_at":
        raise refusals.detailed(
            400, "invalid_value", "Supported values are: 'created_at'.", "expires_after.anchor"
        )
    seconds = expires_after.get("seconds")
    refuse_out_of_range("expires_after.seconds", seconds, 10, 7200)
    return None if seconds is None else int(seconds)


def merged(session: Session, change: Session) -> Session:
    """A copy of the session with the change laid over it, object by object; null replaces."""
    result = deepcopy(session)
    for key, value in change.items():
        below = result.get(key)
        if key == "turn_detection" and isinstance(value, dict):
            result[key] = merged(turn_detection_before(below, value), value)
        elif isinstance(value, dict) and isinstance(below, dict):
            result[key] = merged(below, value)
        else:
            result[key] = deepcopy(value)
    return result


def turn_detection_before(current: Session | None, change: Session) -> Session:
    """What a change is laid over: the current detection when its type stays, else the type's defaults."""
    kind = change.get("type", (current or SERVER_VAD)["type"])
    if current is not None and current["type"] == kind:
        return current
    return SEMANTIC_VAD if kind == "semantic_vad" else SERVER_VAD


def at(document: Session, path: str) -> Any:
    """The value at a dotted path, None when something on the way is missing."""
    value: Any = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def supported(allowed: tuple[str, ...]) -> str:
    """Azure's sentence, an Oxford comma included."""
    names = [f"'{name}'" for name in allowed]
    joined = ", ".join(names[:-1]) + f", and {names[-1]}" if len(names) > 2 else " and ".join(names)
    return f"Supported values are: {joined}."
