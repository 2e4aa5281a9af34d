"""The five environments, what each of them forbids, and the settings that both services read."""

from __future__ import annotations

import json
from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def page_origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or f"{parts.scheme}://{parts.netloc}" != value:
        raise ValueError("must be origins like https://app.example.org, without a path and without *")
    return value


def json_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as exc:
        raise ValueError('must be a JSON list, like ["https://app.example.org"]') from exc


def base_url(url: str) -> str:
    """An http(s) address without its trailing slash."""
    parts = split(url)
    if (
        parts.scheme not in {"http", "https"}
        or parts.username
        or parts.password
        or parts.query
        or parts.fragment
    ):
        raise ValueError("must be an http(s) address without user information")
    return url.rstrip("/")


def split(url: str) -> SplitResult:
    """The parts of an address that has a host and no port that is none. Raises ValueError otherwise."""
    parts = urlsplit(url.strip())
    try:
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError("must be an address like https://host.example.org")
    return parts


def store_url(url: SecretStr) -> SecretStr:
    """The address of a PostgreSQL; it holds a password, so it is never quoted."""
    if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("must be postgresql://USER:PASSWORD@HOST/DATABASE; leave it out to count in process")
    if find_spec("psycopg") is None:
        raise ValueError("PostgreSQL needs the extra: pip install 'voicelive[postgres]'")
    return url


PageOrigin = Annotated[str, AfterValidator(page_origin)]
BaseUrl = Annotated[str, AfterValidator(base_url)]


class Environment(StrEnum):
    """Where a service runs; decides what it must refuse."""

    STAGING = "staging"
    DEVELOPMENT = "development"
    TEST = "test"
    UAT = "uat"
    PRODUCTION = "production"

    @property
    def holds_people_s_data(self) -> bool:
        """False only where nobody's real data can be: there sign-in may be left out."""
        return self not in {Environment.STAGING, Environment.DEVELOPMENT}


class SharedSettings(BaseSettings):
    """What the settings of both services share. Each is the environment variable of its name in capitals."""

    # Without hide_input_in_errors a missing setting would print the others, keys included. Defaults are
    # validated too, because some are wrong in some environments.
    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, hide_input_in_errors=True, validate_default=True
    )

    environment: Environment
    auth_required: bool = True
    auth_dev_tokens: bool = False
    cors_origins: Annotated[frozenset[PageOrigin], NoDecode, BeforeValidator(json_list)] = frozenset()
    log_level: str = Field("INFO", pattern=r"(?i)^(debug|info|warning|error)$")
    limits: Literal["on", "off"] | None = None
    limits_url: Annotated[SecretStr, AfterValidator(store_url)] | None = None
    trusted_proxies: int = Field(0, ge=0, le=5)
    drain_s: float | None = Field(None, ge=0, le=60)

    @field_validator("auth_required")
    @classmethod
    def _sign_in_where_people_s_data_is(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and holds_people_s_data(info):
            raise ValueError(f"false is refused with ENVIRONMENT={info.data['environment']}")
        return value

    @field_validator("auth_dev_tokens")
    @classmethod
    def _no_made_up_people_where_people_s_data_is(cls, value: bool, info: ValidationInfo) -> bool:
        if value and holds_people_s_data(info):
            raise ValueError(f"true is refused with ENVIRONMENT={info.data['environment']}")
        return value

    @field_validator("limits")
    @classmethod
    def _limits_where_people_s_data_is(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "off" and holds_people_s_data(info):
            raise ValueError(f"off is refused with ENVIRONMENT={info.data['environment']}; raise the figures")
        return value

    @property
    def has_limits(self) -> bool:
        """On where people's data is, and where somebody asks for it."""
        return self.limits == "on" or (self.limits is None and self.environment.holds_people_s_data)

    @property
    def drains_for_s(self) -> float:
        """How long a service that was told to end still takes what comes; none where nobody else would."""
        usual = 5.0 if self.environment.holds_people_s_data else 0.0
        return usual if self.drain_s is None else self.drain_s


def holds_people_s_data(info: ValidationInfo) -> bool:
    """Whether the environment read so far may hold real data; no when it was itself a mistake."""
    environment = info.data.get("environment")
    return isinstance(environment, Environment) and environment.holds_people_s_data
