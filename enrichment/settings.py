"""Everything enrichment reads from its environment, checked once at start. The only reader of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from broker.edge.settings import BaseUrl, SharedSettings


def sqlite_url(url: str) -> str:
    if not url.startswith("sqlite:///") or not url.removeprefix("sqlite:///"):
        raise ValueError("must be sqlite:///PATH; leave it out to keep the outbox in DATA_DIR")
    return url


class Settings(SharedSettings):
    """Enrichment's settings; each is the environment variable of the same name in capitals."""

    data_dir: Path = Path(".data")
    database_url: Annotated[str, AfterValidator(sqlite_url)] | None = None
    memory_backend: Literal["embedded"] = "embedded"
    grant_jwks_url: BaseUrl | None = None
    recall_turns: int = Field(12, ge=0, le=50)
    data_retention_days: int = Field(90, ge=1, le=3_650)
    outbox_ballast_mb: int = Field(64, ge=0, le=4_096)

    @property
    def outbox_path(self) -> Path:
        if self.database_url is None:
            return self.data_dir / "outbox.db"
        return Path(self.database_url.removeprefix("sqlite:///"))

    @property
    def memory_path(self) -> Path:
        return self.data_dir / "memory.db"
