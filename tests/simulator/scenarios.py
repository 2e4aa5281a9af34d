"""What can go differently in one call, as data. Whoever mints chooses by the deployment's name.

``gpt-realtime`` is the happy scenario and ``gpt-realtime-<scenario>`` any other; a test that does not mint
uses the token ``ek_sim_<scenario>`` instead. There is no global switch, so tests run in parallel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

DEPLOYMENT = "gpt-realtime"
NOT_REALTIME = frozenset({"gpt-4o", "gpt-4o-mini"})  # deployments that exist and cannot hold a call
MAX_SESSION_S = 1800.0  # Azure: 30 minutes


@dataclass(frozen=True, slots=True)
class Scenario:
    """How the mint answers, how the offer is answered, and how the call behaves."""

    name: str = "happy"

    # the mint
    refuse: Literal[429, 500] | None = None
    refuse_only_with_transcription: bool = False
    mint_delay_s: float = 0.0
    reply: Literal["minted", "html", "no-value", "huge"] = "minted"
    already_expired: bool = False

    # the call
    sdp_refused: bool = False
    channel_closes_after_s: float | None = None
    max_session_s: float = MAX_SESSION_S
    words_a_minute: int = 450  # hurried: few of them are about the sound
    user_transcript: Literal["around", "late", "missing"] = "around"
    """When the user's words arrive: just before or just after the answer began, after its text, or never."""


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(words_a_minute=170),
        Scenario("brisk"),
        Scenario("late-user-transcript", user_transcript="late"),
        Scenario("transcription-missing", user_transcript="missing"),
        Scenario("sdp-refused", sdp_refused=True),
        Scenario("channel-closes-early", channel_closes_after_s=1.0, words_a_minute=170),
        Scenario("session-expires", max_session_s=4.0),
        Scenario("slow", mint_delay_s=5.0),
        Scenario("429", refuse=429),
        Scenario("500", refuse=500),
        Scenario("500-with-transcription", refuse=500, refuse_only_with_transcription=True),
        Scenario("bad-body", reply="no-value"),
        Scenario("html-body", reply="html"),
        Scenario("huge-body", reply="huge"),
        Scenario("expired-token", already_expired=True),
    )
}


def known_scenarios(*, slow_s: float) -> dict[str, Scenario]:
    """Every scenario by name, with the slow mint as slow as asked (seconds)."""
    return SCENARIOS | {"slow": replace(SCENARIOS["slow"], mint_delay_s=slow_s)}


def scenario_of(deployment: str, known: dict[str, Scenario]) -> Scenario | None:
    """The scenario of a deployment, None when nobody deployed that."""
    if deployment == DEPLOYMENT:
        return known["happy"]
    prefix, _, name = deployment.partition(f"{DEPLOYMENT}-")
    return known.get(name) if not prefix else None
