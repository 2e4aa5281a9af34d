"""Which ways to mint there are: hosts, paths, headers, and the order that is the policy."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from broker.minting.credentials import ApiKey
from broker.minting.domains import Domain, Host, known_host, looks_like_azure
from broker.minting.rows import failsafe_rows
from tests.broker.build import SPEC

KEY, KEY_2 = ApiKey(SecretStr("k1")), ApiKey(SecretStr("k2"), "key 2")
R = Domain("primary", "https://r.openai.azure.com", "dep", (KEY,), project="demo")


def urls(*domains, api_version=None):
    return [row.mint_url for row in failsafe_rows(domains, api_version)]


def test_the_rows_of_one_resource_are_the_documented_shapes_first_and_the_project_last():
    assert urls(R) == [
        "https://r.openai.azure.com/openai/v1/realtime/client_secrets",
        "https://r.services.ai.azure.com/openai/v1/realtime/client_secrets",
        "https://r.services.ai.azure.com/api/projects/demo/openai/v1/realtime/client_secrets",
    ]


def test_dated_rows_come_after_all_others_and_only_when_a_version_is_set():
    assert urls(R, api_version="2025-10-01")[3:] == [
        "https://r.openai.azure.com/openai/deployments/dep/realtime/client_secrets?api-version=2025-10-01",
        "https://r.services.ai.azure.com/openai/realtime/client_secrets?api-version=2025-10-01",
        "https://r.services.ai.azure.com/api/projects/demo/openai/realtime/client_secrets?api-version=2025-10-01",
    ]


def test_domains_stand_beside_each_other_within_a_shape_and_keys_within_a_domain():
    near = Domain("near", "https://n.openai.azure.com", "dep", (KEY, KEY_2))
    far = Domain("far", "https://f.openai.azure.com", "other", (KEY,))
    assert [row.name for row in failsafe_rows([near, far])] == [
        "near/direct/ga/key",
        "near/direct/ga/key 2",
        "far/direct/ga/key",
        "near/unified/ga/key",
        "near/unified/ga/key 2",
        "far/unified/ga/key",
    ]


def test_on_a_custom_host_the_same_address_is_asked_once():
    gateway = Domain("primary", "https://gateway.example.org", "dep", (KEY, KEY_2))
    names = [row.name for row in failsafe_rows([gateway])]
    assert names == ["primary/direct/ga/key", "primary/direct/ga/key 2"]


def test_two_deployments_of_one_resource_are_two_domains():
    near, other = (Domain(name, "https://r.openai.azure.com", name, (KEY,)) for name in ("dep-1", "dep-2"))
    assert {row.domain.name for row in failsafe_rows([near, other])} == {"dep-1", "dep-2"}


@pytest.mark.parametrize("suffix", Host)
def test_whatever_host_is_configured_its_siblings_are_the_same(suffix):
    assert urls(Domain("primary", f"https://r{suffix}", "dep", (KEY,))) == urls(R)[:2]


@pytest.mark.parametrize(
    ("host", "is_known", "is_trap"),
    [
        ("r.openai.azure.com", True, False),
        ("r.services.ai.azure.com", True, False),
        ("openai.azure.com", False, True),
        ("r.openai.azure.com.evil", False, True),
        ("openai.azure.com.evil.example", False, True),
        ("a.b.openai.azure.com", False, True),
        ("ropenai.azure.com", False, True),
        ("r-openai.azure.com.example", False, True),
        ("gateway.example.org", False, False),
    ],
)
def test_only_the_exact_suffix_is_azure_s(host, is_known, is_trap):
    assert (known_host(host) is not None) is is_known
    assert looks_like_azure(host) is is_trap


def test_the_dated_body_is_flat_and_a_project_gets_both_key_headers():
    direct, *_, project = failsafe_rows([R], "2025-10-01")[3:]
    body = direct.dialect.body(SPEC, "dep", ())
    assert body["modalities"] == ["audio", "text"]
    assert body["input_audio_transcription"] == {"model": "whisper-1"}
    assert "session" not in body
    assert direct.headers() == {"api-key": "k1"}
    assert project.headers() == {"api-key": "k1", "Ocp-Apim-Subscription-Key": "k1"}


def test_every_shape_calls_the_ga_route_on_the_host_that_mints():
    for row in failsafe_rows([R], "2025-10-01"):
        assert row.calls_url(filtered=True).endswith(".azure.com/openai/v1/realtime/calls?webrtcfilter=on")
        assert row.calls_url(filtered=False).endswith("/openai/v1/realtime/calls")
        assert row.calls_url(filtered=False).split("/")[2] == row.mint_url.split("/")[2]
