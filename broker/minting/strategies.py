"""The ways to ask Azure for a token. The only module that knows Azure's mint URLs.

A row is domain × strategy × dialect × credential. A strategy says on which host of the resource the surface
is; a dialect says which path, body and answer that surface speaks. A new way to mint is a new row, or one
class here.

Source: https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc and the OpenAI
specification of ``/realtime/client_secrets`` (both checked 2026-11-20).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from broker.minting.credentials import Credential
from broker.session import SessionSpec


@dataclass(frozen=True, slots=True)
class Domain:
    """One Azure resource: a region and a quota. ``model`` is the name of the deployment there."""

    name: str
    endpoint: str
    model: str


class Strategy(Protocol):
    """On which host of a resource the surface is."""

    @property
    def name(self) -> str: ...

    def base(self, domain: Domain) -> str:
        """The URL that the dialect's path is appended to."""
        ...


@dataclass(frozen=True, slots=True)
class Direct:
    """The configured host itself, as it is."""

    name: str = "direct"

    def base(self, domain: Domain) -> str:
        return domain.endpoint


class Dialect(Protocol):
    """Which path, body and answer a surface speaks."""

    @property
    def name(self) -> str: ...

    def mint_url(self, base: str) -> str: ...

    def calls_url(self, base: str, *, filtered: bool) -> str: ...

    def body(self, spec: SessionSpec, model: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Ga:
    """The generally available surface: ``/openai/v1``, no api-version, body nested under ``session``."""

    name: str = "ga"

    def mint_url(self, base: str) -> str:
        return f"{base}/openai/v1/realtime/client_secrets"

    def calls_url(self, base: str, *, filtered: bool) -> str:
        """Where the browser posts its SDP. Filtered: the prompt is kept from the browser's event channel."""
        return f"{base}/openai/v1/realtime/calls" + ("?webrtcfilter=on" if filtered else "")

    def body(self, spec: SessionSpec, model: str) -> dict[str, Any]:
        return {
            "expires_after": {"anchor": "created_at", "seconds": spec.token_lifetime_s},
            "session": {
                "type": "realtime",
                "model": model,
                "instructions": spec.instructions,
                "output_modalities": ["audio"],
                "audio": {"input": _audio_input(spec), "output": {"voice": spec.voice}},
            },
        }


def _audio_input(spec: SessionSpec) -> dict[str, Any]:
    detection = spec.turn_detection
    heard: dict[str, Any] = {
        "noise_reduction": {"type": "near_field"},
        "turn_detection": {
            "type": "server_vad",
            "threshold": detection.threshold,
            "prefix_padding_ms": detection.prefix_padding_ms,
            "silence_duration_ms": detection.silence_duration_ms,
            "create_response": True,
            "interrupt_response": True,
        },
    }
    if spec.transcription is not None:
        heard["transcription"] = {"model": spec.transcription.model}
        if spec.transcription.language is not None:
            heard["transcription"]["language"] = spec.transcription.language
    return heard


@dataclass(frozen=True, slots=True)
class Row:
    """One way to mint, asked once per attempt."""

    domain: Domain
    strategy: Strategy
    dialect: Dialect
    credential: Credential

    @property
    def name(self) -> str:
        parts = (self.domain.name, self.strategy.name, self.dialect.name, self.credential.name)
        return "/".join(parts)

    @property
    def mint_url(self) -> str:
        return self.dialect.mint_url(self.strategy.base(self.domain))

    def calls_url(self, *, filtered: bool) -> str:
        return self.dialect.calls_url(self.strategy.base(self.domain), filtered=filtered)
