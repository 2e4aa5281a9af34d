"""Each environment's settings, as its containers would have them, are given to the apps that read them."""

from __future__ import annotations

import re

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import ValidationError

from enrichment.outbox.postgres_schema import FIRST
from tests.bicep.project import ENVIRONMENTS, changed, parsed
from tests.bicep.settings import app_of, complaints, deployed, job_of, settings_of, variables_of, vault_of
from tests.bicep.shells import shell
from tests.bicep.working_out import worked_out

BOTH = pytest.mark.parametrize("package", ["broker", "enrichment"])
EACH = pytest.mark.parametrize("environment", ENVIRONMENTS)
REAL = ("test", "uat", "production")

# Environment and app -> what it does not start without.
ALWAYS = {"ENVIRONMENT"}
AUDITED = {"AUDIT_LOG_ENABLED", "AUDIT_KEY", "AUDIT_URL"}
SIGNED_IN = {"ENTRA_TENANTS", "ENTRA_AUDIENCES"}
REQUIRED = {
    **{(each, "broker"): ALWAYS | {"AZURE_VOICELIVE_IDENTITY"} for each in ENVIRONMENTS},
    **{(each, "enrichment"): ALWAYS | {"ZEP_API_URL", "ZEP_API_KEY"} for each in ENVIRONMENTS},
}
for traced in set(ENVIRONMENTS) - {"staging"}:
    for app in ("broker", "enrichment"):
        REQUIRED[traced, app] |= {"APPLICATIONINSIGHTS_CONNECTION_STRING"}
for real in REAL:
    REQUIRED[real, "broker"] |= AUDITED | SIGNED_IN | {"GRANT_SIGNING_KEY"}
    REQUIRED[real, "enrichment"] |= AUDITED | SIGNED_IN | {"MEMORY_BACKEND", "DATABASE_URL", "GRANT_JWKS_URL"}


@EACH
def test_every_variable_is_a_setting_and_every_setting_that_azure_needs_is_set(environment):
    assert complaints(parsed(), environment) == []


@pytest.mark.parametrize(
    ("path", "old", "new", "complaint"),
    [
        ("main.bicep", "LOG_LEVEL: logLevel", "LOG_LEVELS: logLevel", "broker reads no LOG_LEVELS"),
        ("main.bicep", "  DRAIN_S: '20'\n", "", "enrichment needs DRAIN_S"),
        ("main.bicep", "GRANT_JWKS_URL: jwksUrl", "ICE_SERVERS: jwksUrl", "enrichment reads no ICE_SERVERS"),
        ("main.bicep", "LIMITS_URL: 'broker-", "LIMITS: 'broker-", "broker has LIMITS twice"),
        ("main.bicep", "output GRANT_JWKS_URL", "output JWKS", "no app reads the output JWKS"),
    ],
)
def test_a_variable_that_nobody_reads_or_that_is_missing_is_told(path, old, new, complaint):
    assert complaint in complaints(changed(path, old, new), "production")


@EACH
@BOTH
def test_the_settings_hold(environment, package):
    settings = settings_of(package, variables_of(deployed(environment), package))
    assert settings.environment == environment
    assert settings.has_limits
    assert settings.drains_for_s + 10 < 60  # and with what is being answered it ends before it is killed


@EACH
@BOTH
def test_without_a_required_variable_an_app_refuses_and_without_another_it_does_not(environment, package):
    variables = variables_of(deployed(environment), package)
    refusing = set()
    for name in variables:
        try:
            settings_of(package, {other: value for other, value in variables.items() if other != name})
        except ValidationError:
            refusing.add(name)
    assert refusing == REQUIRED[environment, package]


@pytest.mark.parametrize("environment", REAL)
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("AUTH_REQUIRED", "false", "false is refused"),
        ("AUTH_DEV_TOKENS", "true", "true is refused"),
        ("AUDIT_LOG_ENABLED", "false", "must be true"),
        ("LIMITS", "off", "off is refused"),
        ("CORS_ORIGINS", '["*"]', "must be origins"),
    ],
)
def test_where_people_s_data_is_an_app_refuses_what_its_rules_forbid(environment, name, value, reason):
    for package in ("broker", "enrichment"):
        variables = {**variables_of(deployed(environment), package), name: value}
        with pytest.raises(ValidationError, match=reason):
            settings_of(package, variables)


@EACH
def test_the_apps_know_each_other_the_page_and_nobody_else(environment):
    outcome = deployed(environment)
    broker, enrichment = (variables_of(outcome, package) for package in ("broker", "enrichment"))
    domain = "calm-1a2b3c4d.eastus2.azurecontainerapps.io"
    names = {package: app_of(outcome, package).name for package in ("broker", "enrichment")}
    assert broker["ENRICHMENT_URL"] == f"https://{names['enrichment']}.{domain}"
    assert enrichment["GRANT_JWKS_URL"] == f"https://{names['broker']}.{domain}/.well-known/jwks.json"
    for package in ("broker", "enrichment"):
        ingress = app_of(outcome, package).body["properties"]["configuration"]["ingress"]
        assert ingress["corsPolicy"]["allowedOrigins"] == list(
            settings_of(package, broker | enrichment).cors_origins
        )


@EACH
def test_of_the_vault_each_app_has_what_it_reads_and_nothing_is_in_it_in_vain(environment):
    outcome = deployed(environment)
    containers = [app_of(outcome, "broker"), app_of(outcome, "enrichment"), job_of(outcome)]
    referred = {
        secret["keyVaultUrl"]
        for container in containers
        for secret in container.body["properties"]["configuration"]["secrets"]
    }
    assert referred == vault_of(outcome).keys()
    for container in containers:
        names = [each["name"] for each in container.body["properties"]["configuration"]["secrets"]]
        assert len(names) == len(set(names))  # Azure refuses one that is listed twice


def test_a_secret_that_is_nowhere_is_noticed():
    files = changed("main.bicep", "'zep-api-key': zepApiKey", "'zep-key': zepApiKey")
    with pytest.raises(KeyError, match="zep-api-key"):
        variables_of(worked_out(files, "test", shell()), "enrichment")


def test_public_keys_that_are_published_beside_the_own_one_come_from_the_shell_if_it_has_any():
    pem = "-----BEGIN PUBLIC KEY-----\nmade up\n-----END PUBLIC KEY-----\n"
    rotating = worked_out(parsed(), "production", {**shell(), "GRANT_OTHER_KEYS": pem})
    assert variables_of(rotating, "broker")["GRANT_OTHER_KEYS"] == pem
    assert variables_of(deployed("production"), "broker")["GRANT_OTHER_KEYS"] == ""


def test_a_password_with_signs_is_still_one_in_the_address():
    settings = settings_of("enrichment", variables_of(deployed("production"), "enrichment"))
    read = conninfo_to_dict(settings.database_url.get_secret_value())
    assert read["password"] == "enrichment/s:pass@word"
    assert read["dbname"] == "enrichment"


def test_the_scale_rule_asks_for_what_the_outbox_has():
    rules = app_of(deployed("production"), "enrichment").body["properties"]["template"]["scale"]["rules"]
    query = rules[1]["custom"]["metadata"]["query"]
    asked = re.fullmatch(r"SELECT count\(\*\) FROM (\w+) WHERE (\w+) IS NOT NULL", query)
    assert asked
    table, column = asked.groups()
    created = re.search(rf"CREATE TABLE {table} \((.*?)\n\);", FIRST, re.DOTALL)
    assert created
    assert re.search(rf"^    {column} ", created[1], re.MULTILINE)
    assert rules[1]["custom"]["auth"][0]["secretRef"] == "enrichment-database-url"
