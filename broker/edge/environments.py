"""The five environments and what each of them forbids."""

from __future__ import annotations

from enum import StrEnum


class Environment(StrEnum):
    STAGING = "staging"
    DEVELOPMENT = "development"
    TEST = "test"
    UAT = "uat"
    PRODUCTION = "production"

    @property
    def holds_people_s_data(self) -> bool:
        """False only where nobody's real data can be: there sign-in may be left out."""
        return self not in {Environment.STAGING, Environment.DEVELOPMENT}


def forbidden(environment: Environment, *, auth_required: bool, development_tokens: bool) -> list[str]:
    """What must not be set in this environment, one sentence each."""
    if not environment.holds_people_s_data:
        return []
    sentences = []
    if not auth_required:
        sentences.append(f"AUTH_REQUIRED=false is refused with ENVIRONMENT={environment}")
    if development_tokens:
        sentences.append(f"AUTH_DEV_TOKENS=true is refused with ENVIRONMENT={environment}")
    return sentences
