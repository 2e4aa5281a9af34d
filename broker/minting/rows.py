"""Which ways to mint there are, in the order they are asked. Reading this list is reading the policy."""

from __future__ import annotations

from pydantic import SecretStr

from broker.minting.credentials import ApiKey
from broker.minting.strategies import Direct, Domain, Ga, Row


def failsafe_rows(endpoint: str, model: str, key: SecretStr) -> list[Row]:
    primary = Domain("primary", endpoint, model)
    return [
        Row(primary, Direct(), Ga(), ApiKey(key)),
    ]
