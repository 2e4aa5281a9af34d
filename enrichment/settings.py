"""Everything enrichment reads from its environment, checked once at start. The only reader of it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from broker.edge.settings import BaseUrl, SharedSettings, holds_people_s_data, private_or_tls

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")


def outbox_url(url: SecretStr) -> SecretStr:
    """An address of either engine; what is wrong with one is said without quoting it."""
    address = url.get_secret_value()
    if address.startswith(POSTGRES):
        if find_spec("psycopg") is None:
            raise ValueError("PostgreSQL needs the extra: pip install 'voicelive[postgres]'")
        if not _is_readable(address):
            raise ValueError("must be postgresql://USER:PASSWORD@HOST/DATABASE, special characters as %XX")
    elif not address.removeprefix(SQLITE) or not address.startswith(SQLITE):
        raise ValueError(
            "must be sqlite:///PATH or postgresql://…; leave it out to keep the outbox in DATA_DIR"
        )
    return url


def _is_readable(address: str) -> bool:
    """By libpq's own rules: several hosts, sockets, parameters."""
    from psycopg import ProgrammingError  # noqa: PLC0415 - of an extra, see above
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        conninfo_to_dict(address)
    except ProgrammingError:
        return False
    return True


def installed(backend: str) -> str:
    if backend == "zep-cloud" and find_spec("zep_cloud") is None:
        raise ValueError("zep-cloud needs the extra of that name: pip install voicelive[zep-cloud]")
    return backend


def zep_root(url: str) -> str:
    """The address without the path that the SDK adds."""
    return re.sub(r"/api/v\d+$", "", url)


class Settings(SharedSettings):
    """Enrichment's settings; each is the environment variable of the same name in capitals."""

    data_dir: Path = Path(".data")
    database_url: Annotated[SecretStr, AfterValidator(outbox_url)] | None = None
    memory_backend: Annotated[Literal["embedded", "zep", "zep-cloud"], AfterValidator(installed)] = "embedded"
    zep_api_url: Annotated[BaseUrl, AfterValidator(zep_root)] | None = None
    zep_api_key: SecretStr | None = None
    grant_jwks_url: BaseUrl | None = None
    recall_turns: int = Field(12, ge=0, le=50)
    data_retention_days: int = Field(90, ge=1, le=3_650)
    outbox_ballast_mb: int = Field(64, ge=0, le=4_096)
    limit_session_per_second: int = Field(5, ge=1, le=1_000_000)
    limit_session_turns_a_day: int = Field(2_000, ge=100, le=100_000_000)
    limit_session_kib_a_day: int = Field(2_048, ge=256, le=100_000_000)
    limit_person_kib_a_day: int = Field(20_480, ge=256, le=100_000_000)

    @field_validator("database_url")
    @classmethod
    def _outbox_that_outlives_its_container(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        is_postgres = value is not None and value.get_secret_value().startswith(POSTGRES)
        if not is_postgres and holds_people_s_data(info):
            raise ValueError(f"must be postgresql: with ENVIRONMENT={info.data['environment']}")
        return value

    @field_validator("grant_jwks_url")
    @classmethod
    def _keys_that_prove_grants(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and holds_people_s_data(info):
            raise ValueError(
                f"required with ENVIRONMENT={info.data['environment']}: without it no grant is good"
            )
        return private_or_tls(value, info)

    @field_validator("zep_api_url")
    @classmethod
    def _address_of_our_own_zep(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("memory_backend") == "zep":
            raise ValueError("required with MEMORY_BACKEND=zep")
        return private_or_tls(value, info)

    @field_validator("zep_api_key")
    @classmethod
    def _key_to_zep(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        backend = info.data.get("memory_backend")
        if backend in {"zep", "zep-cloud"} and value is None:
            raise ValueError(f"required with MEMORY_BACKEND={backend}")
        if value is not None and not _is_one_word(value.get_secret_value()):
            raise ValueError("must be one word of visible ASCII: it is sent in a header")
        return value

    @field_validator("memory_backend")
    @classmethod
    def _one_memory_for_all_replicas(cls, value: str, info: ValidationInfo) -> str:
        url = info.data.get("database_url")
        is_shared = isinstance(url, SecretStr) and not url.get_secret_value().startswith("sqlite:")
        if value == "embedded" and is_shared and holds_people_s_data(info):
            raise ValueError("embedded is one file of one process: with DATABASE_URL=postgresql: name a Zep")
        return value

    @property
    def outbox_engine(self) -> Literal["sqlite", "postgres"]:
        is_postgres = self.database_url and self.database_url.get_secret_value().startswith(POSTGRES)
        return "postgres" if is_postgres else "sqlite"

    @property
    def outbox_path(self) -> Path:
        """Where the embedded outbox is."""
        if self.database_url is None:
            return self.data_dir / "outbox.db"
        return Path(self.database_url.get_secret_value().removeprefix(SQLITE))

    @property
    def memory_path(self) -> Path:
        return self.data_dir / "memory.db"

    @property
    def addresses_path(self) -> Path:
        return self.data_dir / "addresses.db"


def _is_one_word(text: str) -> bool:
    return re.fullmatch(r"[!-~]+", text) is not None
