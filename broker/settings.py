"""Everything the broker reads from its environment, checked once at start. The only reader of it."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode

from broker.edge.grants import load_public_keys, load_signing_key
from broker.edge.settings import (
    BaseUrl,
    Environment,
    SharedSettings,
    holds_people_s_data,
    json_list,
    private_or_tls,
    split,
)
from broker.minting.credentials import SCOPES
from broker.minting.domains import WITHOUT_REALTIME, known_host, looks_like_azure

LONGEST_CALL_S = 1800  # Azure ends a session after 30 minutes; learn.microsoft.com (checked 2026-11-20)

# Labels of ASCII, the last one no number: letters of other alphabets look like ours, and resolvers read
# 2852039166, 0xa9fea9fe and 169.254.43518 as an IP address; https://url.spec.whatwg.org/#ends-in-a-number-checker
HOST_NAME = re.compile(r"([a-z0-9_-]+\.)*(?!0x)[a-z0-9_-]*[a-z_-][a-z0-9_-]*")

# What people paste behind the host; all of it names the same resource.
ENDPOINT_SUFFIXES = ("/openai/v1/realtime", "/openai/v1", "/openai", "/voice-live/realtime")


def origin(url: str) -> str:
    """``scheme://host[:port]`` of an endpoint given in any of the usual spellings.

    Raises ValueError for a host that could be somebody else's, for user information and for a path that is
    none of the usual suffixes.
    """
    parts = split(url.strip().replace("wss://", "https://", 1))
    path = parts.path.rstrip("/")
    if parts.scheme not in {"http", "https"}:
        raise ValueError("must be an address like https://RESOURCE.openai.azure.com")
    _refuse_host(parts.scheme, parts.hostname or "")
    if known_host(parts.hostname or "") and parts.port not in (None, 443):
        raise ValueError("has a port that Azure does not listen on")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold nothing but scheme, host and port")
    if path not in ("", *ENDPOINT_SUFFIXES) and not path.startswith("/api/projects/"):
        raise ValueError("has a path that is not Azure's: give the address of the resource alone")
    return f"{parts.scheme}://{parts.netloc}"


def _refuse_host(scheme: str, host: str) -> None:
    """An API key is sent there: only a name that can be what it looks like gets one."""
    if is_loopback(host):
        return
    if scheme == "http":
        raise ValueError("must begin with https://; plain http is for this machine only")
    if is_address(host) or not HOST_NAME.fullmatch(host):
        raise ValueError("must be a name in ASCII: nobody's certificate proves an IP address")
    if looks_like_azure(host):
        raise ValueError(
            "looks like Azure's host and is not: RESOURCE.openai.azure.com is one label and that suffix"
        )
    if host.endswith(WITHOUT_REALTIME):
        raise ValueError("is in a cloud that lists no realtime model")


def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback if is_address(host) else host == "localhost"


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def signing_key(pem: SecretStr) -> SecretStr:
    load_signing_key(pem.get_secret_value())
    return pem


def public_keys(pem: str) -> str:
    load_public_keys(pem)
    return pem


def header_value(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of printable ASCII, as a header can carry it")
    return key


Origin = Annotated[str, AfterValidator(origin)]
Key = Annotated[SecretStr, AfterValidator(header_value)]
Model = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Project = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]


class FurtherDomain(BaseModel):
    """One entry of ``AZURE_VOICELIVE_DOMAINS``: another resource, with its own region and quota."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    region: Region
    endpoint: Origin
    model: Model | None = None
    key: Key | None = None
    key_2: Key | None = None
    project: Project | None = None


class IceServer(BaseModel):
    """One entry of ``ICE_SERVERS``, as a browser's ``RTCPeerConnection`` takes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    urls: Annotated[str, StringConstraints(pattern=r"^(stun|turns?):[\x21-\x7e]{1,200}$")]
    username: str | None = None
    credential: SecretStr | None = None

    def for_browser(self) -> dict[str, str]:
        """With its credential: whoever holds a call needs it."""
        credential = self.credential.get_secret_value() if self.credential else None
        given = {"urls": self.urls, "username": self.username, "credential": credential}
        return {name: value for name, value in given.items() if value is not None}


class Settings(SharedSettings):
    """The broker's settings; each is the environment variable of the same name in capitals."""

    azure_voicelive_endpoint: Origin | None = None
    azure_voicelive_identity: Literal["off", "managed", "service-principal", "cli"] = "off"
    azure_voicelive_key: Key | None = None
    azure_voicelive_key_2: Key | None = None
    azure_voicelive_model: Model = "gpt-realtime"
    azure_voicelive_project_name: Project | None = None
    azure_voicelive_api_version: str | None = Field(None, pattern=r"^\d{4}-\d{2}-\d{2}(-preview)?$")
    azure_voicelive_region: Region = "primary"
    azure_voicelive_domains: Annotated[tuple[FurtherDomain, ...], NoDecode, BeforeValidator(json_list)] = ()
    azure_voicelive_scope: str = Field(SCOPES[0], pattern=r"^https://[a-z.]+/\.default$")
    azure_tenant_id: str | None = None
    azure_client_id: str | None = None
    azure_client_secret: SecretStr | None = None
    mint_allow_key: bool = False
    azure_voicelive_voice: str | None = None
    transcription_model: str | None = "whisper-1"
    transcription_language: str | None = Field(None, pattern=r"^[a-z]{2,3}$")
    vad_threshold: float = Field(0.5, ge=0, le=1)
    vad_prefix_padding_ms: int = Field(300, ge=0, le=5_000)
    vad_silence_duration_ms: int = Field(500, ge=100, le=10_000)
    enable_proactive_greeting: bool = True
    webrtc_filter: bool = True
    call_limit_s: int = Field(LONGEST_CALL_S, ge=10, le=LONGEST_CALL_S)
    ice_servers: Annotated[tuple[IceServer, ...], NoDecode, BeforeValidator(json_list)] = ()
    enrichment_url: BaseUrl | None = None
    recall_budget_ms: int = Field(300, ge=0, le=2_000)
    grant_signing_key: Annotated[SecretStr, AfterValidator(signing_key)] | None = None
    grant_other_keys: Annotated[str, AfterValidator(public_keys)] | None = None
    serve_page: bool = False
    limit_address_per_minute: int = Field(30, ge=1, le=1_000_000)
    limit_person_per_minute: int = Field(6, ge=1, le=1_000_000)
    limit_person_per_hour: int = Field(60, ge=1, le=1_000_000)
    limit_person_sessions: int = Field(2, ge=1, le=100_000)
    limit_person_minutes_a_day: int = Field(200, ge=1, le=10_000_000)
    limit_person_grants_per_minute: int = Field(30, ge=1, le=1_000_000)
    limit_all_per_minute: int = Field(0, ge=0, le=1_000_000)

    @field_validator("azure_voicelive_key")
    @classmethod
    def _some_credential(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("azure_voicelive_endpoint") and _has_no_identity(info):
            raise ValueError("required with AZURE_VOICELIVE_ENDPOINT, unless AZURE_VOICELIVE_IDENTITY is set")
        return value

    @field_validator("azure_voicelive_domains")
    @classmethod
    def _regions_apart(
        cls, value: tuple[FurtherDomain, ...], info: ValidationInfo
    ) -> tuple[FurtherDomain, ...]:
        regions = [info.data.get("azure_voicelive_region"), *(domain.region for domain in value)]
        if len(set(regions)) < len(regions):
            raise ValueError("each needs a region of its own, also other than AZURE_VOICELIVE_REGION")
        if any(domain.key is None for domain in value) and _has_no_identity(info):
            raise ValueError("each needs a key, unless AZURE_VOICELIVE_IDENTITY is set")
        return value

    @field_validator("azure_client_secret")
    @classmethod
    def _whole_service_principal(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        parts = [info.data.get("azure_tenant_id"), info.data.get("azure_client_id"), value]
        if info.data.get("azure_voicelive_identity") == "service-principal" and not all(parts):
            raise ValueError("required with AZURE_TENANT_ID and AZURE_CLIENT_ID for a service principal")
        return value

    @field_validator("mint_allow_key")
    @classmethod
    def _identity_where_keys_are_not_allowed(cls, value: bool, info: ValidationInfo) -> bool:
        environment = info.data.get("environment")
        is_strict = environment in {Environment.UAT, Environment.PRODUCTION}
        has_endpoint = info.data.get("azure_voicelive_endpoint") is not None
        if is_strict and not value and has_endpoint and _has_no_identity(info):
            raise ValueError(f"must be true with ENVIRONMENT={environment} and no AZURE_VOICELIVE_IDENTITY")
        return value

    @field_validator("enrichment_url")
    @classmethod
    def _memory_behind_tls(cls, value: str | None, info: ValidationInfo) -> str | None:
        return private_or_tls(value, info)

    @field_validator("grant_signing_key")
    @classmethod
    def _lasting_key_where_people_s_data_is(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if value is None and info.data.get("enrichment_url") and holds_people_s_data(info):
            raise ValueError(f"required with ENVIRONMENT={info.data['environment']}")
        return value


def _has_no_identity(info: ValidationInfo) -> bool:
    return str(info.data.get("azure_voicelive_identity", "off")) == "off"
