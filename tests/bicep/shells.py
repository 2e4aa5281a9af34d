"""What the shell of whoever deploys has set: made-up secrets that have the shape of real ones."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@cache
def shell() -> MappingProxyType[str, str]:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return MappingProxyType(
        {
            "IMAGE": "registry.azurecr.io/voicelive@sha256:" + "0" * 64,
            "REGISTRY_NAME": "registry",
            "ZEP_API_URL": "https://zep.example.org",
            "ZEP_API_KEY": "made-up-zep-key",
            "ENTRA_TENANT": "11111111-2222-3333-4444-555555555555",
            "ENTRA_AUDIENCE": "99999999-8888-7777-6666-555555555555",
            "DATABASE_PASSWORD": "pass/word:with@signs",
            "BROKER_DATABASE_PASSWORD": "broker/s:pass@word",
            "ENRICHMENT_DATABASE_PASSWORD": "enrichment/s:pass@word",
            "METRICS_TOKEN": "made-up-scraper-s-token",
            "GRANT_SIGNING_KEY": pem,
            "AUDIT_KEY": "made-up-audit-key-of-32-characters-and-more",
            "ALERT_EMAIL": "team@example.org",
            "SECURITY_EMAIL": "security@example.org",
            "PAGERDUTY_URL": "https://events.pagerduty.com/integration/made-up/enqueue",
            "SLACK_URL": "https://made-up.logic.azure.com/workflows/1",
        }
    )
