"""The ways to ask Azure for a token. The only module that knows Azure's mint URLs.

A row is domain × strategy × dialect × credential. A strategy says on which host of the resource the surface
is, a dialect which path, body and answer that surface speaks. A new way to mint is a new row, or one class.

Source: https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc and the OpenAI
specification of ``/realtime/client_secrets`` (both checked 2026-11-20).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import urlsplit

from broker.minting.credentials import Credential
from broker.minting.domains import Domain, Host
from broker.minting.outcomes import Part
from broker.session import SessionSpec


class Strategy(Enum):
    """A shape of endpoint: its name, and the host of the resource it is on."""

    DIRECT = ("direct", Host.OPENAI)
    UNIFIED = ("unified", Host.SERVICES)
    PROJECT = ("project", Host.SERVICES)

    def __init__(self, label: str, host: Host) -> None:
        self.label = label
        self.host = host


class Dialect(Protocol):
    """Which path, body and answer a surface speaks."""

    @property
    def name(self) -> str: ...

    def mint_path(self, strategy: Strategy, domain: Domain) -> str: ...

    def body(self, spec: SessionSpec, model: str, omitted: Collection[Part]) -> dict[str, Any]: ...

    def session_update(self, spec: SessionSpec, omitted: Collection[Part]) -> dict[str, Any] | None:
        """What the browser must send after connecting, because it could not be part of the mint."""
        ...


@dataclass(frozen=True, slots=True)
class Ga:
    """The generally available surface: ``/openai/v1``, no api-version, body nested under ``session``."""

    name: str = "ga"

    def mint_path(self, strategy: Strategy, domain: Domain) -> str:
        project = f"/api/projects/{domain.project}" if strategy is Strategy.PROJECT else ""
        return f"{project}/openai/v1/realtime/client_secrets"

    def body(self, spec: SessionSpec, model: str, omitted: Collection[Part]) -> dict[str, Any]:
        session = {
            "type": "realtime",
            "model": model,
            "instructions": spec.instructions,
            "output_modalities": ["audio"],
            "audio": {"input": _audio_input(spec, omitted), "output": {"voice": spec.voice}},
        }
        if Part.EXPIRY in omitted:
            return {"session": session}
        return {
            "expires_after": {"anchor": "created_at", "seconds": spec.token_lifetime_s},
            "session": session,
        }

    def session_update(self, spec: SessionSpec, omitted: Collection[Part]) -> dict[str, Any] | None:
        if spec.transcription is None or Part.TRANSCRIPTION not in omitted:
            return None
        audio = {"input": {"transcription": spec.transcription.as_json()}}
        return {"type": "session.update", "session": {"type": "realtime", "audio": audio}}


def _audio_input(spec: SessionSpec, omitted: Collection[Part]) -> dict[str, Any]:
    heard: dict[str, Any] = {"turn_detection": spec.turn_detection.as_json()}
    if Part.NOISE_REDUCTION not in omitted:
        heard["noise_reduction"] = {"type": "near_field"}
    if spec.transcription is not None and Part.TRANSCRIPTION not in omitted:
        heard["transcription"] = spec.transcription.as_json()
    return heard


@dataclass(frozen=True, slots=True)
class Dated:
    """The older surface behind some gateways: a dated api-version and a flat body."""

    api_version: str
    name: str = "dated"

    def mint_path(self, strategy: Strategy, domain: Domain) -> str:
        paths = {
            Strategy.DIRECT: f"/openai/deployments/{domain.model}/realtime/client_secrets",
            Strategy.UNIFIED: "/openai/realtime/client_secrets",
            Strategy.PROJECT: f"/api/projects/{domain.project}/openai/realtime/client_secrets",
        }
        return f"{paths[strategy]}?api-version={self.api_version}"

    def body(self, spec: SessionSpec, model: str, omitted: Collection[Part]) -> dict[str, Any]:
        flat: dict[str, Any] = {
            "model": model,
            "modalities": ["audio", "text"],
            "instructions": spec.instructions,
            "voice": spec.voice,
            "turn_detection": spec.turn_detection.as_json(),
        }
        if spec.transcription is not None and Part.TRANSCRIPTION not in omitted:
            flat["input_audio_transcription"] = spec.transcription.as_json()
        return flat

    def session_update(self, spec: SessionSpec, omitted: Collection[Part]) -> dict[str, Any] | None:
        return Ga().session_update(spec, omitted)  # the call itself speaks GA


@dataclass(frozen=True, eq=False)
class Row:
    """One way to mint, asked once per attempt. Two rows are never equal: each has a health of its own."""

    domain: Domain
    strategy: Strategy
    dialect: Dialect
    credential: Credential

    @cached_property
    def name(self) -> str:
        parts = (self.domain.name, self.strategy.label, self.dialect.name, self.credential.name)
        return "/".join(parts)

    @cached_property
    def endpoint(self) -> str:
        return self.domain.endpoint_of(self.strategy.host)

    @cached_property
    def mint_url(self) -> str:
        return self.endpoint + self.dialect.mint_path(self.strategy, self.domain)

    @cached_property
    def shape(self) -> tuple[str, str]:
        return self.strategy.label, self.dialect.name

    @cached_property
    def on_a_span(self) -> dict[str, str]:
        """What a trace says of the row; nothing that proves who we are."""
        return {
            "mint.strategy": self.strategy.label,
            "mint.domain": self.domain.name,
            "mint.dialect": self.dialect.name,
            "mint.outcome": "abandoned",  # unless something comes of it
            "server.address": urlsplit(self.endpoint).hostname or "",
        }

    def calls_url(self, *, filtered: bool) -> str:
        """Where the browser posts its SDP. Filtered: the prompt is kept from the browser's event channel."""
        return f"{self.endpoint}/openai/v1/realtime/calls" + ("?webrtcfilter=on" if filtered else "")

    def headers(self) -> dict[str, str]:
        """What proves that we may mint. Raises `NotReady` when the credential has nothing to show yet."""
        headers = self.credential.headers()
        if self.strategy is Strategy.PROJECT and self.dialect.name == "dated" and "api-key" in headers:
            headers = {**headers, "Ocp-Apim-Subscription-Key": headers["api-key"]}
        return headers
