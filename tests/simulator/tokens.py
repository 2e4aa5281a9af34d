"""Ephemeral tokens: what was minted, and the ones a test may invent."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.simulator.scenarios import Scenario
from tests.simulator.session_rules import Session, default_session

INVENTED = "ek_sim_"  # ek_sim_<scenario> or ek_sim_<scenario>_<anything>


@dataclass(frozen=True, slots=True)
class Pass:
    """What a token stands for: one session, to be opened until it expires."""

    session: Session
    scenario: Scenario
    expires_at: int  # Unix seconds


class Tokens:
    """Minted tokens. One may open several calls until it expires (OpenAI's rule, unverified for Azure)."""

    def __init__(self, known: dict[str, Scenario], *, now: Callable[[], float]) -> None:
        self._passes: dict[str, Pass] = {}
        self._known = known
        self._now = now

    def mint(self, session: Session, scenario: Scenario, *, ttl_s: int) -> tuple[str, Pass]:
        self._forget_expired()
        value = f"ek_{secrets.token_hex(16)}"
        expires_at = int(self._now()) + (-60 if scenario.already_expired else ttl_s)
        self._passes[value] = Pass(session, scenario, expires_at)
        return value, self._passes[value]

    def redeem(self, value: str) -> Pass | None:
        """What the token stands for, its session's end set; None when it is unknown or expired."""
        found = self._passes.get(value) or self._invented(value)
        if found is None or found.expires_at <= self._now():
            return None
        ends_at = int(self._now() + found.scenario.max_session_s)
        return replace(found, session=found.session | {"expires_at": ends_at})

    def _invented(self, value: str) -> Pass | None:
        prefix, _, rest = value.partition(INVENTED)
        scenario = self._known.get(rest.split("_")[0]) if not prefix else None
        if scenario is None:
            return None
        return Pass(default_session(), scenario, int(self._now()) + (-60 if scenario.already_expired else 60))

    def _forget_expired(self) -> None:
        self._passes = {value: kept for value, kept in self._passes.items() if kept.expires_at > self._now()}
