"""What we prove to Azure that we may mint. A managed identity is a further class with the same method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr


class Credential(Protocol):
    @property
    def name(self) -> str: ...

    def headers(self) -> dict[str, str]:
        """The headers that prove it, ready to send. Never waits: the mint path only reads what is there."""
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the Azure resource, in the header that both Azure's documentation and its SDKs use."""

    key: SecretStr
    name: str = "key"

    def headers(self) -> dict[str, str]:
        return {"api-key": self.key.get_secret_value()}
