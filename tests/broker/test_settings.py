"""What the broker accepts as configuration, and what it says when it does not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from broker.edge.startup import mistakes
from tests.broker.build import KEY, SIGN_IN, settings
from tests.simulator.entra import TENANT


def refused(**changed) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        settings(**changed)
    assert KEY not in str(caught.value)
    return mistakes(caught.value)


@pytest.mark.parametrize(
    "spelling",
    [
        "https://res.openai.azure.com",
        "https://res.openai.azure.com/",
        "wss://res.openai.azure.com",
        "https://res.openai.azure.com/openai",
        "https://res.openai.azure.com/openai/v1/",
        "https://res.openai.azure.com/openai/v1/realtime",
        "https://res.openai.azure.com/api/projects/demo",
        "https://res.openai.azure.com/voice-live/realtime",
    ],
)
def test_an_endpoint_in_any_usual_spelling_is_the_resource_s_origin(spelling):
    assert (
        settings(azure_voicelive_endpoint=spelling).azure_voicelive_endpoint == "https://res.openai.azure.com"
    )


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://res.openai.azure.com",
        "https://user:password@res.openai.azure.com",
        "https://user@res.openai.azure.com",
        "https://res.openai.azure.com/elsewhere",
        "https://res.openai.azure.com/?key=1",
        "ftp://res.openai.azure.com",
        "res.openai.azure.com",
        "https://",
        "https://res.openai.azure.com:notaport",
        "https://openai.azure.com.evil",
        "https://res.openai.azure.com.evil.example",
        "https://a.b.openai.azure.com",
        "https://10.0.0.4",
        "https://[2001:db8::1]",
        "https://res.openai.azure.us",
    ],
)
def test_an_endpoint_that_could_leak_the_key_is_refused(endpoint):
    (line,) = refused(azure_voicelive_endpoint=endpoint)
    assert line.startswith("AZURE_VOICELIVE_ENDPOINT: ")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8790", "http://localhost:8790", "http://[::1]:8790"])
def test_plain_http_is_for_this_machine(endpoint):
    assert settings(azure_voicelive_endpoint=endpoint).azure_voicelive_endpoint == endpoint


def test_every_mistake_is_reported_at_once_and_no_value():
    lines = refused(
        environment="production",
        vad_threshold="canary-7",
        cors_origins="*",
        log_level="canary",
        azure_voicelive_key=None,
    )
    assert [line.split(":")[0] for line in lines] == [
        "AUTH_REQUIRED",
        "CORS_ORIGINS",
        "LOG_LEVEL",
        "AZURE_VOICELIVE_KEY",
        "MINT_ALLOW_KEY",
        "VAD_THRESHOLD",
    ]
    assert "canary" not in " ".join(lines)


@pytest.mark.parametrize("environment", ["test", "uat", "production"])
def test_where_people_s_data_is_nobody_gets_in_without_signing_in(environment):
    assert refused(environment=environment, mint_allow_key=True) == [
        f"AUTH_REQUIRED: false is refused with ENVIRONMENT={environment}"
    ]
    assert refused(environment=environment, **SIGN_IN, auth_dev_tokens=True, mint_allow_key=True) == [
        f"AUTH_DEV_TOKENS: true is refused with ENVIRONMENT={environment}"
    ]


@pytest.mark.parametrize("environment", ["staging", "development"])
def test_a_proof_of_concept_may_leave_signing_in_out(environment):
    assert settings(environment=environment).auth_required is False


def test_grants_that_must_outlive_a_restart_need_a_lasting_key():
    strict = {"environment": "uat", **SIGN_IN, "mint_allow_key": True}
    (line,) = refused(**strict, enrichment_url="https://e.example.org")
    assert line == "GRANT_SIGNING_KEY: required with ENVIRONMENT=uat"


@pytest.mark.parametrize("environment", ["test", "uat", "production"])
def test_where_people_s_data_is_what_is_done_must_go_on_record(environment):
    strict = {"environment": environment, "mint_allow_key": True, **SIGN_IN}
    assert refused(**strict, audit_log_enabled=False) == [
        f"AUDIT_LOG_ENABLED: must be true with ENVIRONMENT={environment}"
    ]
    assert settings(**strict).audit_log_enabled


def test_a_record_needs_a_key_and_a_place():
    assert refused(audit_log_enabled=True) == [
        "AUDIT_KEY: required with AUDIT_LOG_ENABLED",
        "AUDIT_URL: required with AUDIT_LOG_ENABLED",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audit_key", "canary-too-short"),
        ("audit_key", "canary " * 8),
        ("audit_url", "canary"),
        ("audit_url", "file:"),
        ("audit_url", "file://canary/share"),
        ("audit_url", "mysql://u:canary@h/d"),
        ("audit_anchor_url", "https://canary.example"),
        ("audit_anchor_url", "https://r.blob.core.windows.net.canary.example/c"),
        ("audit_anchor_url", "http://canary.blob.core.windows.net/c"),
    ],
)
def test_a_record_that_could_not_be_kept_is_refused_without_its_value(name, value):
    (line,) = refused(**{name: value})
    assert line.startswith(f"{name.upper()}: ")
    assert "canary" not in line


def test_a_signing_key_of_another_kind_is_refused_without_showing_it():
    (line,) = refused(grant_signing_key="-----BEGIN canary-----")
    assert line.startswith("GRANT_SIGNING_KEY: ")
    assert "canary" not in line


def test_a_private_key_is_never_published_and_never_shown():
    (line,) = refused(grant_other_keys="-----BEGIN PRIVATE KEY-----canary")
    assert line.startswith("GRANT_OTHER_KEYS: ")
    assert "canary" not in line


@pytest.mark.parametrize("key", ["two words", "line\n", "clé", ""])
def test_a_key_that_no_header_can_carry_is_refused(key):
    with pytest.raises(ValidationError) as caught:
        settings(azure_voicelive_key=key)
    assert mistakes(caught.value)[0].startswith("AZURE_VOICELIVE_KEY: ")


@pytest.mark.parametrize(
    "url", ["http://a:notaport", "https://user:canary@a.example", "a.example", "ftp://a"]
)
def test_an_enrichment_address_that_browsers_could_not_use_is_refused(url):
    (line,) = refused(enrichment_url=url)
    assert line.startswith("ENRICHMENT_URL: ")
    assert "canary" not in line


def test_further_domains_are_resources_with_regions_of_their_own():
    other = (
        '[{"region": "sweden", "endpoint": "https://s.openai.azure.com/openai", "key": "k", "model": "m"}]'
    )
    (domain,) = settings(azure_voicelive_domains=other).azure_voicelive_domains
    assert (domain.endpoint, domain.model) == ("https://s.openai.azure.com", "m")


@pytest.mark.parametrize(
    "domains",
    [
        "not json",
        '[{"region": "primary", "endpoint": "https://s.openai.azure.com", "key": "canary"}]',
        '[{"region": "sweden", "endpoint": "https://s.openai.azure.com"}]',
        '[{"region": "sweden", "endpoint": "http://s.openai.azure.com", "key": "canary"}]',
        '[{"region": "sweden", "endpoint": "https://s.openai.azure.com", "kye": "canary"}]',
    ],
)
def test_a_further_domain_that_cannot_work_is_refused_without_its_key(domains):
    (line,) = refused(azure_voicelive_domains=domains)
    assert line.startswith("AZURE_VOICELIVE_DOMAINS")
    assert "canary" not in line


@pytest.mark.parametrize("environment", ["uat", "production"])
def test_a_key_alone_mints_in_production_only_when_that_is_allowed(environment):
    strict = {"environment": environment, **SIGN_IN}
    assert refused(**strict) == [
        f"MINT_ALLOW_KEY: must be true with ENVIRONMENT={environment} and no AZURE_VOICELIVE_IDENTITY"
    ]
    assert settings(**strict, mint_allow_key=True).mint_allow_key
    assert settings(**strict, azure_voicelive_identity="managed").azure_voicelive_key is not None


@pytest.mark.parametrize("environment", ["test", "uat", "production"])
def test_where_people_s_data_is_there_must_be_a_way_to_sign_in(environment):
    (line,) = refused(environment=environment, auth_required=True, mint_allow_key=True)
    assert line == (
        f"ENTRA_TENANTS: required with ENTRA_AUDIENCES in ENVIRONMENT={environment}: "
        "without them nobody could sign in"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("entra_tenants", '["common"]'),
        ("entra_tenants", '["Organizations"]'),
        ("entra_tenants", '["consumers"]'),
        ("entra_tenants", '["example.onmicrosoft.com"]'),
        ("entra_tenants", TENANT),
        ("entra_audiences", '["https://app.example.org"]'),
        ("entra_audiences", '["*"]'),
        ("entra_audiences", "[]"),
        ("entra_scope", "one two"),
        ("entra_authority", "https://login.evil.example"),
        ("entra_authority", "https://login.microsoftonline.com.evil.example"),
        ("entra_authority", "http://login.microsoftonline.com"),
        ("entra_authority", "http://127.0.0.1:8792"),
    ],
)
def test_what_would_let_others_in_is_refused(name, value):
    (line,) = refused(environment="uat", mint_allow_key=True, **SIGN_IN | {name: value})
    assert line.startswith(f"{name.upper()}: ")


def test_where_nobody_s_data_is_a_simulator_may_stand_in_for_entra():
    assert settings(**SIGN_IN, entra_authority="http://127.0.0.1:8792").registration
    assert settings(auth_required=True).registration is None


def test_an_identity_needs_no_key():
    chosen = settings(azure_voicelive_key=None, azure_voicelive_identity="managed")
    assert chosen.azure_voicelive_key is None


def test_a_service_principal_needs_all_its_parts():
    (line,) = refused(azure_voicelive_identity="service-principal", azure_client_id="c")
    assert line.startswith("AZURE_CLIENT_SECRET: ")


def test_secrets_do_not_print():
    assert KEY not in repr(settings())


def test_a_broker_that_cannot_start_says_why_and_exits_with_78():
    environment = {"PATH": os.environ["PATH"], "ENVIRONMENT": "prod", "AZURE_VOICELIVE_KEY": KEY}
    done = subprocess.run(
        [sys.executable, "-m", "broker", "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78
    assert "ENVIRONMENT" in done.stderr
    assert KEY not in done.stderr + done.stdout


@pytest.mark.parametrize("environment", ["test", "uat", "production"])
def test_where_people_s_data_is_there_are_limits_and_time_to_leave(environment):
    strict = {"environment": environment, "mint_allow_key": True, **SIGN_IN}
    chosen = settings(**strict)
    assert (chosen.has_limits, chosen.drains_for_s) == (True, 5.0)
    (line,) = refused(**strict, limits="off")
    assert line == f"LIMITS: off is refused with ENVIRONMENT={environment}; raise the figures"


def test_elsewhere_limits_are_on_when_somebody_asks_for_them():
    assert (settings().has_limits, settings().drains_for_s) == (False, 0.0)
    assert (settings(limits="on").has_limits, settings(drain_s=3).drains_for_s) == (True, 3.0)


@pytest.mark.parametrize("url", ["redis://:canary@cache:6379", "postgres:canary", "memory://", "sqlite:///x"])
def test_a_store_of_limits_is_a_postgresql_and_is_never_shown(url):
    (line,) = refused(limits_url=url)
    assert line.startswith("LIMITS_URL: must be postgresql://")
    assert "canary" not in line
    assert "canary" not in repr(settings(limits_url="postgresql://a:canary@db/limits"))
