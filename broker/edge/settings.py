"""The five environments, what each of them forbids, and the settings that both services read."""

from __future__ import annotations

import ipaddress
import json
import re
from enum import StrEnum
from importlib.util import find_spec
from types import MappingProxyType
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from broker.edge.audit.settings import AnchorUrl, AuditKey, AuditUrl
from broker.edge.entra import AUTHORITY, SCOPE, Registration
from broker.edge.ids import GUID

EVERY_TENANT = frozenset({"common", "organizations", "consumers"})
THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


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


def tenant(name: str) -> str:
    """The id of one tenant. A token names its tenant by id alone."""
    if name.lower() in EVERY_TENANT:
        raise ValueError(f"{name.lower()} would let every tenant in: list the ids of those that may come in")
    if not re.fullmatch(GUID, name.lower()):
        raise ValueError("must be a list of tenants by their ids, like 11111111-2222-3333-4444-555555555555")
    return name.lower()


def audience(name: str) -> str:
    """Of version 2 tokens the client id of the app, of version 1 its address."""
    if re.fullmatch(GUID, name.lower()):
        return name.lower()
    if not re.fullmatch(r"api://[A-Za-z0-9._/-]{1,200}", name):
        raise ValueError(
            "must be a list of client ids of the app, or of its addresses, which begin with api://"
        )
    return name


def store_url(url: SecretStr) -> SecretStr:
    """The address of a PostgreSQL; it holds a password, so it is never quoted."""
    if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("must be postgresql://USER:PASSWORD@HOST/DATABASE; leave it out to count in process")
    if find_spec("psycopg") is None:
        raise ValueError("PostgreSQL needs the extra: pip install 'voicelive[postgres]'")
    return url


def exportable(place: str) -> str:
    """A place for traces whose exporter is installed."""
    if place == "azure-monitor" and not _has_azure_monitor():
        raise ValueError("azure-monitor needs the extra: pip install 'voicelive[azure-monitor]'")
    return place


def _has_azure_monitor() -> bool:
    try:
        return find_spec("azure.monitor.opentelemetry.exporter") is not None
    except ModuleNotFoundError:  # not even the package above it
        return False


def insights_resource(connection: SecretStr) -> SecretStr:
    """The connection string of an Application Insights resource; its key is never quoted."""
    if not re.search(rf"(?i)(^|;)InstrumentationKey={GUID}(;|$)", connection.get_secret_value()):
        raise ValueError("must be InstrumentationKey=…;IngestionEndpoint=https://…, as Azure shows it")
    return connection


def scraper_s_token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x21-\x7e]{16,200}", token.get_secret_value()):
        raise ValueError("must be 16 to 200 printable characters without spaces, as a header can carry them")
    return token


PageOrigin = Annotated[str, AfterValidator(page_origin)]
BaseUrl = Annotated[str, AfterValidator(base_url)]
Tenant = Annotated[str, AfterValidator(tenant)]
Audience = Annotated[str, AfterValidator(audience)]


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


# A word of a name that says where it runs, and the environments that refuse at least what is refused there.
STRICT_NAMES = MappingProxyType(
    {
        "prod": frozenset({Environment.PRODUCTION}),
        "production": frozenset({Environment.PRODUCTION}),
        "uat": frozenset({Environment.UAT, Environment.PRODUCTION}),
    }
)


class SharedSettings(BaseSettings):
    """What the settings of both services share. Each is the environment variable of its name in capitals."""

    # Without hide_input_in_errors a missing setting would print the others, keys included. Defaults are
    # validated too, because some are wrong in some environments.
    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, hide_input_in_errors=True, validate_default=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment alone: to look for files that nobody named takes as long again."""
        return init_settings, env_settings

    environment: Environment
    auth_required: bool = True
    auth_dev_tokens: bool = False
    entra_tenants: Annotated[frozenset[Tenant], NoDecode, BeforeValidator(json_list)] = frozenset()
    entra_audiences: Annotated[frozenset[Audience], NoDecode, BeforeValidator(json_list)] = frozenset()
    entra_scope: str = Field(SCOPE, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    entra_authority: BaseUrl = AUTHORITY
    cors_origins: Annotated[frozenset[PageOrigin], NoDecode, BeforeValidator(json_list)] = frozenset()
    log_level: str = Field("INFO", pattern=r"(?i)^(debug|info|warning|error)$")
    traces: Annotated[Literal["off", "console", "azure-monitor"], AfterValidator(exportable)] = "off"
    traces_ratio: float = Field(1.0, ge=0, le=1)
    applicationinsights_connection_string: Annotated[SecretStr, AfterValidator(insights_resource)] | None = (
        None
    )
    audit_log_enabled: bool = False
    audit_key: AuditKey | None = None
    audit_url: AuditUrl | None = None
    audit_anchor_url: AnchorUrl | None = None
    audit_anchor_client_id: str | None = None
    limits: Literal["on", "off"] | None = None
    limits_url: Annotated[SecretStr, AfterValidator(store_url)] | None = None
    trusted_proxies: int = Field(0, ge=0, le=5)
    container_app_name: str | None = None
    drain_s: float | None = Field(None, ge=0, le=60)
    metrics_token: Annotated[SecretStr, AfterValidator(scraper_s_token)] | None = None

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

    @field_validator("entra_tenants")
    @classmethod
    def _somebody_may_sign_in(cls, value: frozenset[str], info: ValidationInfo) -> frozenset[str]:
        if not value and info.data.get("auth_required") and holds_people_s_data(info):
            raise ValueError(
                f"required with ENTRA_AUDIENCES in ENVIRONMENT={info.data['environment']}: "
                "without them nobody could sign in"
            )
        return value

    @field_validator("entra_audiences")
    @classmethod
    def _tokens_for_us_alone(cls, value: frozenset[str], info: ValidationInfo) -> frozenset[str]:
        if "entra_tenants" in info.data and bool(value) != bool(info.data["entra_tenants"]):
            raise ValueError("belongs to ENTRA_TENANTS: both are set, or neither")
        return value

    @field_validator("entra_authority")
    @classmethod
    def _keys_from_entra(cls, value: str, info: ValidationInfo) -> str:
        is_simulated = urlsplit(value).hostname in THIS_MACHINE and not holds_people_s_data(info)
        if value != AUTHORITY and not is_simulated:
            raise ValueError(
                f"must be {AUTHORITY}; in staging and development a simulator on this machine too"
            )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _pages_that_nobody_changed_on_their_way(
        cls, value: frozenset[str], info: ValidationInfo
    ) -> frozenset[str]:
        if holds_people_s_data(info) and any(origin.startswith("http:") for origin in value):
            raise ValueError(f"must begin with https:// in ENVIRONMENT={info.data['environment']}")
        return value

    @property
    def registration(self) -> Registration | None:
        """Whose access tokens let people in; None where none do."""
        if not self.auth_required or not self.entra_tenants:
            return None
        return Registration(self.entra_tenants, self.entra_audiences, self.entra_scope, self.entra_authority)

    @field_validator("applicationinsights_connection_string")
    @classmethod
    def _somewhere_for_traces(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("traces") == "azure-monitor":
            raise ValueError("required with TRACES=azure-monitor")
        return value

    @field_validator("audit_log_enabled")
    @classmethod
    def _on_record_where_people_s_data_is(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and holds_people_s_data(info):
            raise ValueError(f"must be true with ENVIRONMENT={info.data['environment']}")
        return value

    @field_validator("audit_key", "audit_url")
    @classmethod
    def _whole_audit(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("audit_log_enabled"):
            raise ValueError("required with AUDIT_LOG_ENABLED")
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

    @field_validator("container_app_name")
    @classmethod
    def _no_laxer_than_its_name(cls, value: str | None, info: ValidationInfo) -> str | None:
        environment = info.data.get("environment")
        if isinstance(environment, Environment) and value is not None:
            for said in set(value.lower().split("-")) & STRICT_NAMES.keys():
                if environment not in STRICT_NAMES[said]:
                    raise ValueError(f"says {said}, and ENVIRONMENT={environment}")
        return value

    @property
    def proxies_are_untold(self) -> bool:
        """Whether a proxy stands in front of us and nobody said so: then all callers are one network."""
        return self.container_app_name is not None and "trusted_proxies" not in self.model_fields_set

    @property
    def drains_for_s(self) -> float:
        """How long a service that was told to end still takes what comes; none where nobody else would."""
        usual = 5.0 if self.environment.holds_people_s_data else 0.0
        return usual if self.drain_s is None else self.drain_s


def private_or_tls(url: str | None, info: ValidationInfo) -> str | None:
    """An address as it is, unless people's data would cross the internet for everybody to read and change."""
    if url is not None and holds_people_s_data(info) and url.startswith("http:") and _is_public(url):
        raise ValueError(f"must begin with https:// in ENVIRONMENT={info.data['environment']}")
    return url


def _is_public(url: str) -> bool:
    """Not an address or a name of a private network; ``x.internal.…`` is how Container Apps name theirs."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not re.search(r"\.(internal|local|localhost)(\.|$)", host)


def holds_people_s_data(info: ValidationInfo) -> bool:
    """Whether the environment read so far may hold real data; no when it was itself a mistake."""
    environment = info.data.get("environment")
    return isinstance(environment, Environment) and environment.holds_people_s_data
