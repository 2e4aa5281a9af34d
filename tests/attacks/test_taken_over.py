"""Attacks 40 and 41: what somebody gets who has taken enrichment over, or brought a script into the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import SecretStr

from broker.edge.grants import GrantSigner, keys_of, load_signing_key
from broker.settings import Settings as BrokerSettings
from enrichment.settings import Settings as EnrichmentSettings
from tests.attacks.conftest import broker, entra  # noqa: F401 - fixtures
from tests.broker.build import AZURE, ENRICHMENT, SIGN_IN, settings
from tests.broker.conftest import azure  # noqa: F401 - fixture
from tests.broker.over_http import broker_app
from tests.enrichment.service import as_bearer, grant
from tests.local.processes import machine_environment, start
from tests.local.stack import SIMULATOR_KEY, Plan, new_signing_key
from tests.running import running

# 40: the enrichment service is somebody else's

MAY_HOLD = {
    "database_url",
    "zep_api_key",
    "limits_url",
    "audit_key",
    "audit_url",
    "metrics_token",  # reads numbers
    "applicationinsights_connection_string",  # sends spans
}
BROKER_S = ("AZURE_", "MINT_", "GRANT_SIGNING")


def secrets_of(kind) -> set[str]:
    return {name for name, field in kind.model_fields.items() if SecretStr.__name__ in repr(field)}


def test_40_enrichment_has_no_setting_for_a_key_that_signs_or_mints():
    assert secrets_of(EnrichmentSettings) <= MAY_HOLD
    assert not [name for name in EnrichmentSettings.model_fields if name.upper().startswith(BROKER_S)]
    assert {"grant_signing_key", "azure_voicelive_key", "azure_client_secret"} <= secrets_of(BrokerSettings)


def chosen(pem: str) -> dict[str, str]:
    """All that somebody may have in the shell from which everything is started."""
    return {
        "AZURE_VOICELIVE_ENDPOINT": "http://127.0.0.1:1",
        "AZURE_VOICELIVE_KEY": "canary-key",
        "AZURE_VOICELIVE_KEY_2": "canary-key-2",
        "AZURE_VOICELIVE_DOMAINS": '[{"region": "b", "endpoint": "https://b.example", "key": "canary-b"}]',
        "AZURE_CLIENT_SECRET": "canary-secret",
        "GRANT_SIGNING_KEY": pem,
        "ZEP_API_KEY": "canary-zep",
    }


async def test_40_the_process_of_enrichment_holds_nothing_that_signs_or_mints(tmp_path, monkeypatch):
    pem = new_signing_key()
    for name, value in chosen(pem).items():
        monkeypatch.setenv(name, value)
    (enrichment,) = [
        each for each in Plan(tmp_path, settings=chosen(pem)).services() if each.name == "enrichment"
    ]
    started = await start(enrichment, tmp_path)
    try:
        await started.answers()
        held = await asyncio.to_thread(Path(f"/proc/{started.process.pid}/environ").read_bytes)
    finally:
        await started.stop()
    assert b"GRANT_JWKS_URL=" in held
    assert held.count(b"canary") == 1
    assert b"ZEP_API_KEY=canary-zep" in held
    assert b"PRIVATE KEY" not in held
    assert SIMULATOR_KEY.encode() not in held


def test_40_the_broker_in_turn_holds_no_key_to_memory(tmp_path):
    plan = Plan(tmp_path, settings=chosen(new_signing_key()))
    assert "canary-zep" not in {**machine_environment(), **plan.broker().environment}.values()


async def test_40_what_the_broker_publishes_verifies_and_cannot_sign(broker):  # noqa: F811
    published = (await broker.get("/.well-known/jwks.json")).json()
    assert {name for key in published["keys"] for name in key} <= {"kty", "crv", "x", "kid", "use", "alg"}
    assert all(isinstance(key, Ed25519PublicKey) for key in keys_of(published).values())


async def test_40_a_grant_that_it_saw_or_made_up_mints_nothing_and_opens_no_other_door(broker, azure):  # noqa: F811
    made_up = GrantSigner(load_signing_key(None), environment="development")
    for credential in (grant(), grant(signer=made_up)):
        for path, body in (("token", {}), ("grant", {"session_id": "s-1"})):
            answer = await broker.post(f"/realtime/{path}", json=body, headers=as_bearer(credential))
            assert answer.status_code == 401
    assert azure.call_count == 0


# 41: a script that came into the page

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "media-src": "'self' blob:",
    "connect-src": f"'self' {ENRICHMENT} {AZURE}",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}


async def test_41_the_page_runs_its_own_scripts_alone_and_talks_to_listed_hosts_alone():
    page = broker_app(settings(serve_page=True, enrichment_url=ENRICHMENT, **SIGN_IN))
    async with running(page) as served:
        for path in ("/", "/index.html", "/main.js"):
            told = (await served.get(path)).headers
            (policy,) = told.get_list("content-security-policy")
            assert dict(part.split(" ", 1) for part in policy.split("; ")) == POLICY
            assert told["permissions-policy"] == "microphone=(self), camera=(), geolocation=()"
            assert (told["referrer-policy"], told["x-content-type-options"]) == ("no-referrer", "nosniff")


async def test_41_the_page_itself_holds_no_script_and_no_style_of_its_own():
    async with running(broker_app(settings(serve_page=True))) as served:
        text = (await served.get("/")).text.lower()
    assert text.count("<script") == text.count("<script ") == text.count(' src="')
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick=" not in text
    assert '"javascript:' not in text
