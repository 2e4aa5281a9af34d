"""The settings of an audit, where the environment demands one."""

from __future__ import annotations

from typing import Any

AUDIT_KEY = "canary-audit-key-0123456789abcdef"
ON_RECORD: dict[str, Any] = {
    "audit_log_enabled": True,
    "audit_key": AUDIT_KEY,
    "audit_url": "file:/nowhere/that/a/test/writes",
}


def demanded(environment: str | None) -> dict[str, Any]:
    """What a service does not start without in that environment."""
    return ON_RECORD if environment in {"test", "uat", "production"} else {}
