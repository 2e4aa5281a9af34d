"""What the audit reads from the environment, for the services and for checking it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

FILE = "file:"
POSTGRES = ("postgresql://", "postgres://")
SHORTEST_KEY = 32
# An access token is sent there: only Azure's own hosts get one.
BLOB_CONTAINER = re.compile(r"https://[a-z0-9]{3,24}\.blob\.core\.windows\.net/[a-z0-9-]{3,63}")


def audit_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if len(text) < SHORTEST_KEY or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be 32 visible characters or more, such as `openssl rand -hex 32` gives")
    return key


def audit_url(url: SecretStr) -> SecretStr:
    """An address of either kind; what is wrong with one is said without quoting it."""
    address = url.get_secret_value()
    if address.startswith(POSTGRES):
        if find_spec("psycopg") is None:
            raise ValueError("PostgreSQL needs the extra: pip install 'voicelive[postgres]'")
    elif not folder_of(address):
        raise ValueError("must be file:FOLDER or postgresql://USER:PASSWORD@HOST/DATABASE")
    return url


def anchor_url(url: str) -> str:
    if folder_of(url) or BLOB_CONTAINER.fullmatch(url):
        return url
    raise ValueError("must be file:FOLDER or https://ACCOUNT.blob.core.windows.net/CONTAINER")


def folder_of(address: str) -> Path | None:
    """The folder that ``file:FOLDER`` or ``file:///FOLDER`` names; None for anything else."""
    path = address.removeprefix(FILE)
    if path == address:
        return None
    path = path.removeprefix("//") if path.startswith("///") else path
    return Path(path) if path and not path.startswith("//") else None


AuditKey = Annotated[SecretStr, AfterValidator(audit_key)]
AuditUrl = Annotated[SecretStr, AfterValidator(audit_url)]
AnchorUrl = Annotated[str, AfterValidator(anchor_url)]


class CheckingSettings(BaseSettings):
    """What it takes to check an audit, away from the service that wrote it."""

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, hide_input_in_errors=True, extra="ignore"
    )

    audit_key: AuditKey
    audit_url: AuditUrl | None = None
    audit_anchor_url: AnchorUrl | None = None
