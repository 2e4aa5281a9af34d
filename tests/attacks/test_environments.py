"""Attack 9, whole: which environment starts with which switches. One table, in every combination.

Where people's data is (test, uat, production) the doors of development are shut: a service that finds one
open says so, with everything else that is wrong, and exits with 78. What staging and development allow they
allow together, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations

import pytest
from pydantic import ValidationError

from broker.edge.settings import Environment
from broker.edge.startup import mistakes
from broker.settings import Settings as BrokerSettings
from enrichment.settings import Settings as EnrichmentSettings
from tests.enrichment.conftest import database, postgres  # noqa: F401 - fixtures
from tests.local.forks import fork
from tests.local.processes import ROOT, Command, free_port, start
from tests.local.stack import new_signing_key
from tests.on_record import AUDIT_KEY
from tests.simulator.entra import CLIENT_ID, TENANT

EVERYWHERE = frozenset(Environment)
STRICT = frozenset(each for each in Environment if each.holds_people_s_data)
KEYS_BY_CHOICE = frozenset({Environment.UAT, Environment.PRODUCTION})
NOT_PRODUCTION = EVERYWHERE - {Environment.PRODUCTION}

GOOD = {
    "AUTH_REQUIRED": "true",
    "ENTRA_TENANTS": f'["{TENANT}"]',
    "ENTRA_AUDIENCES": f'["{CLIENT_ID}"]',
    "CORS_ORIGINS": '["https://app.example.org"]',
    "AUDIT_LOG_ENABLED": "true",
    "AUDIT_KEY": AUDIT_KEY,
    "AUDIT_URL": "file:/nowhere/that/a/test/writes",
}
GOOD_BROKER = GOOD | {
    "AZURE_VOICELIVE_ENDPOINT": "https://gateway.example.org",
    "AZURE_VOICELIVE_KEY": "a-key",
    "AZURE_VOICELIVE_IDENTITY": "managed",
    "ENRICHMENT_URL": "https://enrich.example.org",
    "GRANT_SIGNING_KEY": new_signing_key(),
}
GOOD_ENRICHMENT = GOOD | {
    "DATABASE_URL": "postgresql://somebody@db.example.org/outbox",
    "MEMORY_BACKEND": "zep",
    "ZEP_API_URL": "http://zep",
    "ZEP_API_KEY": "a-key",
    "GRANT_JWKS_URL": "https://broker.example.org/.well-known/jwks.json",
}


def given_alone(kind):
    """The same settings of what a test says; to look at the environment thousands of times takes its time."""

    class Given(kind):
        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, **_others):
            return (init_settings,)

    return Given


# A switch: what it changes, which setting is named when it is refused, and where that is.
Switch = tuple[dict[str, str], str, frozenset[Environment]]
SHARED: dict[str, Switch] = {
    "nobody signs in": ({"AUTH_REQUIRED": "false"}, "AUTH_REQUIRED", STRICT),
    "made-up people": ({"AUTH_DEV_TOKENS": "true"}, "AUTH_DEV_TOKENS", STRICT),
    "nobody could sign in": ({"ENTRA_TENANTS": "", "ENTRA_AUDIENCES": ""}, "ENTRA_TENANTS", STRICT),
    "a page without TLS": ({"CORS_ORIGINS": '["http://app.example.org"]'}, "CORS_ORIGINS", STRICT),
    "nothing on record": ({"AUDIT_LOG_ENABLED": "false"}, "AUDIT_LOG_ENABLED", STRICT),
    "no limits": ({"LIMITS": "off"}, "LIMITS", STRICT),
    "a name says production": (
        {"CONTAINER_APP_NAME": "voice-prod"},
        "CONTAINER_APP_NAME",
        NOT_PRODUCTION,
    ),
}
BROKER: dict[str, Switch] = SHARED | {
    "a key alone": ({"AZURE_VOICELIVE_IDENTITY": "off"}, "MINT_ALLOW_KEY", KEYS_BY_CHOICE),
    "no lasting key": ({"GRANT_SIGNING_KEY": ""}, "GRANT_SIGNING_KEY", STRICT),
    "memory without TLS": ({"ENRICHMENT_URL": "http://enrich.example.org"}, "ENRICHMENT_URL", STRICT),
}
ENRICHMENT: dict[str, Switch] = SHARED | {
    "an outbox in a file": ({"DATABASE_URL": ""}, "DATABASE_URL", STRICT),
    "Zep without TLS": ({"ZEP_API_URL": "http://zep.example.org"}, "ZEP_API_URL", STRICT),
    "keys from nowhere": ({"GRANT_JWKS_URL": ""}, "GRANT_JWKS_URL", STRICT),
}
HIDES = {"AUTH_REQUIRED": "ENTRA_TENANTS", "ENRICHMENT_URL": "GRANT_SIGNING_KEY"}  # only the first is told
SERVICES = {
    "broker": (given_alone(BrokerSettings), GOOD_BROKER, BROKER),
    "enrichment": (given_alone(EnrichmentSettings), GOOD_ENRICHMENT, ENRICHMENT),
}
for_each_service = pytest.mark.parametrize("service", SERVICES)
for_each_environment = pytest.mark.parametrize("environment", list(Environment))


def named_by(kind, variables) -> set[str]:
    """The settings that are named when it does not start with these; none when it does."""
    given = {name.lower(): value for name, value in variables.items() if value}
    try:
        kind(**given)
    except ValidationError as exc:
        return {line.partition(":")[0] for line in mistakes(exc)}
    return set()


def expected(environment, chosen) -> set[str]:
    names = {name for _, name, refused_in in chosen if environment in refused_in}
    hidden = {HIDES[name] for name in names & HIDES.keys()}
    return names - hidden


def changed(chosen) -> dict[str, str]:
    return {name: value for changes, *_ in chosen for name, value in changes.items()}


def choices(switches, *, whole) -> list[tuple[str, ...]]:
    """Every choice of some of them; where that would take too long, all of up to two and all but one."""
    most = len(switches)
    counts = range(most + 1) if whole else (0, 1, 2, most - 1, most)
    return [names for count in counts for names in combinations(switches, count)]


@for_each_environment
@for_each_service
def test_09_every_combination_of_switches_starts_or_is_refused_as_the_table_says(service, environment):
    kind, good, switches = SERVICES[service]
    wrong = []
    for names in choices(switches, whole=environment == Environment.PRODUCTION):
        chosen = [switches[name] for name in names]
        said = named_by(kind, {"ENVIRONMENT": environment} | good | changed(chosen))
        if said != expected(environment, chosen):
            wrong.append((names, said))
    assert wrong == []


@for_each_service
@pytest.mark.parametrize("environment", ["", "prod", "Production", "dev", "local", "production "])
def test_09_an_environment_that_is_none_or_missing_is_refused(service, environment):
    kind, good, _ = SERVICES[service]
    assert named_by(kind, {"ENVIRONMENT": environment} | good) == {"ENVIRONMENT"}


@for_each_environment
@for_each_service
@pytest.mark.parametrize("origins", ["*", '["*"]', '["https://*.example.org/"]', '["null"]', '"https://a.b"'])
def test_09_nowhere_is_every_page_welcome(service, environment, origins):
    kind, good, _ = SERVICES[service]
    said = named_by(kind, {"ENVIRONMENT": environment} | good | {"CORS_ORIGINS": origins})
    assert said == {"CORS_ORIGINS"}


@pytest.mark.parametrize(
    "url",
    [
        "http://zep",
        "http://zep:8000",
        "http://10.0.0.4:8000",
        "http://127.0.0.1:8000",
        "http://[fd00::4]",
        "http://zep.internal.kind-sea.westeurope.azurecontainerapps.io",
        "http://zep.svc.cluster.local",
        "https://zep.example.org",
    ],
)
def test_09_a_private_network_needs_no_tls(url):
    strict = {"ENVIRONMENT": "production"} | GOOD_ENRICHMENT
    assert named_by(EnrichmentSettings, strict | {"ZEP_API_URL": url, "GRANT_JWKS_URL": url}) == set()


@pytest.mark.parametrize("host", ["zep.example.org", "8.8.8.8", "internal.example.org", "[2606:4700::1]"])
def test_09_the_internet_does(host):
    strict = {"ENVIRONMENT": "production"} | GOOD_ENRICHMENT
    assert named_by(EnrichmentSettings, strict | {"GRANT_JWKS_URL": f"http://{host}"}) == {"GRANT_JWKS_URL"}


# The same as processes: a row for each environment, with all that it refuses at once


@pytest.mark.parametrize(
    ("service", "environment"),
    [
        ("broker", "staging"),
        ("broker", "development"),
        ("broker", "test"),
        ("broker", "uat"),
        ("enrichment", "uat"),
        ("enrichment", "production"),
    ],
)
def test_09_a_process_names_all_that_is_wrong_and_exits_with_78(service, environment):
    _, good, switches = SERVICES[service]
    variables = {"ENVIRONMENT": environment} | good | changed(switches.values())
    done = subprocess.run(
        [sys.executable, "-m", service, "serve", "--port", "0"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    headline, *lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (78, "")
    assert headline == f"{service} cannot start with these settings:"
    said = {line.removeprefix("  - ").partition(":")[0] for line in lines}
    assert said == expected(environment, switches.values())
    assert not {AUDIT_KEY, "a-key"} & set(done.stderr.split())


@pytest.mark.parametrize(
    ("service", "environment"),
    [
        ("broker", "staging"),
        ("broker", "test"),
        ("broker", "production"),
        ("enrichment", "development"),
        ("enrichment", "production"),
    ],
)
async def test_09_a_process_starts_where_the_table_says(service, environment, tmp_path, request):
    _, good, switches = SERVICES[service]
    allowed = [each for each in switches.values() if environment not in each[2]]
    here = {"AUDIT_URL": f"file:{tmp_path / 'audit'}", "DATA_DIR": str(tmp_path), "ENVIRONMENT": environment}
    here |= {"MEMORY_BACKEND": "zep" if environment in STRICT else "embedded", "DRAIN_S": "0"}
    if service == "enrichment" and environment in STRICT:
        here["DATABASE_URL"] = request.getfixturevalue("database")
    port = free_port()
    variables = good | changed(allowed) | here
    command = Command(service, port, [service, "serve", "--port", str(port)], variables)
    running = await start(command, tmp_path, fork)
    try:
        await running.answers()
    finally:
        await running.stop()
    has_name = "CONTAINER_APP_NAME" in variables
    assert running.log.read_text().count('"event": "proxies.untold"') == has_name
