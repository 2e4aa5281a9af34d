"""What a service says of its settings once it starts with them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from broker.edge.startup import mistakes, warn_of
from tests.broker.build import SIGN_IN, settings


def warnings_of(**changed) -> list[str]:
    with capture_logs() as logged:
        warn_of(settings(**changed))
    return [f"{line['log_level']} {line['event']}" for line in logged]


def test_in_container_apps_it_is_said_once_when_nobody_told_of_the_proxy():
    assert warnings_of(container_app_name="voice") == ["warning proxies.untold"]
    for told in (0, 1):
        assert warnings_of(container_app_name="voice", trusted_proxies=told) == []
    assert warnings_of() == []


def test_the_platform_s_own_variable_says_where_we_are(monkeypatch):
    monkeypatch.setenv("CONTAINER_APP_NAME", "voice")
    assert warnings_of() == ["warning proxies.untold"]


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("voice-prod", "development"),
        ("prod-voice", "staging"),
        ("voice-PRODUCTION-1", "uat"),
        ("voice-prod", "test"),
        ("uat-voice", "development"),
        ("uat-voice", "test"),
    ],
)
def test_a_name_that_says_production_is_no_place_for_a_laxer_environment(name, environment):
    strict = SIGN_IN | {"mint_allow_key": True}
    with pytest.raises(ValidationError) as caught:
        settings(environment=environment, container_app_name=name, **strict)
    (line,) = mistakes(caught.value)
    assert line.startswith("CONTAINER_APP_NAME: says ")
    assert line.endswith(f"ENVIRONMENT={environment}")


@pytest.mark.parametrize(
    ("name", "environment"),
    [("voice-prod", "production"), ("uat-voice", "uat"), ("uat-voice", "production"), ("products", "test")],
)
def test_a_name_that_agrees_or_says_nothing_is_welcome(name, environment):
    strict = SIGN_IN | {"mint_allow_key": True}
    assert settings(environment=environment, container_app_name=name, **strict)
