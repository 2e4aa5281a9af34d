"""A broker's settings and session as the tests want them, whatever this machine's environment says."""

from __future__ import annotations

from typing import Any

from broker.session import SessionSpec, Transcription, TurnDetection
from broker.settings import Settings
from tests.on_record import demanded
from tests.simulator.entra import ADDRESS, CLIENT_ID, TENANT

AZURE = "https://gateway.example.org"  # a host of nobody we know is used as it is: one row
MINT = f"{AZURE}/openai/v1/realtime/client_secrets"
KEY = "canary-api-key-0123456789"
ENRICHMENT = "https://enrich.example.org"

SIGN_IN: dict[str, Any] = {  # where people's data is
    "auth_required": True,
    "entra_tenants": [TENANT],
    "entra_audiences": [CLIENT_ID, ADDRESS],
}

SPEC = SessionSpec(
    voice="marin", instructions="Be brief.", turn_detection=TurnDetection(), transcription=Transcription()
)


def settings(**changed: Any) -> Settings:
    usual = {
        "environment": "development",
        "auth_required": False,
        "azure_voicelive_endpoint": AZURE,
        "azure_voicelive_key": KEY,
        "cors_origins": '["https://app.example.org"]',
    }
    return Settings(**(usual | demanded(changed.get("environment")) | changed))
