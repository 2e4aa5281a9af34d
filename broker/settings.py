"""Everything the broker reads from its environment, checked once at start. The only reader of it."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from broker.edge.grants import load_signing_key
from broker.edge.settings import BaseUrl, SharedSettings, holds_people_s_data, split

# What people paste behind the host; all of it names the same resource.
ENDPOINT_SUFFIXES = ("/openai/v1/realtime", "/openai/v1", "/openai", "/voice-live/realtime")


def origin(url: str) -> str:
    """``scheme://host[:port]`` of an endpoint given in any of the usual spellings.

    Raises ValueError for plain http to another machine, for user information and for a path that is none of
    the usual suffixes: an API key is sent there.
    """
    parts = split(url.strip().replace("wss://", "https://", 1))
    path = parts.path.rstrip("/")
    if parts.scheme not in {"http", "https"}:
        raise ValueError("must be an address like https://RESOURCE.openai.azure.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https://; plain http is for this machine only")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold nothing but scheme, host and port")
    if path not in ("", *ENDPOINT_SUFFIXES) and not path.startswith("/api/projects/"):
        raise ValueError("has a path that is not Azure's: give the address of the resource alone")
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def signing_key(pem: SecretStr) -> SecretStr:
    load_signing_key(pem.get_secret_value())
    return pem


def header_value(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of printable ASCII, as a header can carry it")
    return key


Origin = Annotated[str, AfterValidator(origin)]
Key = Annotated[SecretStr, AfterValidator(header_value)]


class Settings(SharedSettings):
    """The broker's settings; each is the environment variable of the same name in capitals."""

    azure_voicelive_endpoint: Origin | None = None
    azure_voicelive_key: Key | None = None
    azure_voicelive_model: str = Field("gpt-realtime", min_length=1, max_length=128)
    azure_voicelive_voice: str | None = None
    transcription_model: str | None = "whisper-1"
    transcription_language: str | None = Field(None, pattern=r"^[a-z]{2,3}$")
    vad_threshold: float = Field(0.5, ge=0, le=1)
    vad_prefix_padding_ms: int = Field(300, ge=0, le=5_000)
    vad_silence_duration_ms: int = Field(500, ge=100, le=10_000)
    enable_proactive_greeting: bool = True
    webrtc_filter: bool = True
    enrichment_url: BaseUrl | None = None
    recall_budget_ms: int = Field(300, ge=0, le=2_000)
    grant_signing_key: Annotated[SecretStr, AfterValidator(signing_key)] | None = None
    serve_page: bool = False

    @field_validator("azure_voicelive_key")
    @classmethod
    def _key_of_the_endpoint(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("azure_voicelive_endpoint"):
            raise ValueError("required with AZURE_VOICELIVE_ENDPOINT")
        return value

    @field_validator("grant_signing_key")
    @classmethod
    def _lasting_key_where_people_s_data_is(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if value is None and info.data.get("enrichment_url") and holds_people_s_data(info):
            raise ValueError(f"required with ENVIRONMENT={info.data['environment']}")
        return value
