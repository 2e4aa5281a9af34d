"""What the apps of an environment would read: each variable, and from which secret of the vault it comes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any
from unittest import mock

from broker.settings import Settings as BrokerSettings
from enrichment.settings import Settings as EnrichmentSettings
from tests.bicep.project import Files, parsed
from tests.bicep.shells import shell
from tests.bicep.working_out import Outcome, Resource, worked_out

SETTINGS: dict[str, type[BrokerSettings] | type[EnrichmentSettings]] = {
    "broker": BrokerSettings,
    "enrichment": EnrichmentSettings,
}
# What the exporter of Application Insights reads itself; the README says the same of these.
EXPORTER_S = {
    f"APPLICATIONINSIGHTS_{name}"
    for name in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED")
}
# What Azure has no use without, though the settings would do: they cannot know that they are in Azure.
NEEDED = {
    "broker": """CORS_ORIGINS TRUSTED_PROXIES DRAIN_S LIMITS LIMITS_URL METRICS_TOKEN TRACES TRACES_RATIO
        AZURE_VOICELIVE_ENDPOINT AZURE_VOICELIVE_IDENTITY AZURE_CLIENT_ID AZURE_VOICELIVE_DOMAINS
        AZURE_VOICELIVE_REGION TRANSCRIPTION_MODEL ENRICHMENT_URL GRANT_SIGNING_KEY""",
    "enrichment": """CORS_ORIGINS TRUSTED_PROXIES DRAIN_S LIMITS LIMITS_URL METRICS_TOKEN TRACES TRACES_RATIO
        DATABASE_URL MEMORY_BACKEND ZEP_API_URL ZEP_API_KEY GRANT_JWKS_URL DATA_RETENTION_DAYS""",
}


@cache
def deployed(environment: str) -> Outcome:
    return worked_out(parsed(), environment, shell())


def app_of(outcome: Outcome, package: str) -> Resource:
    (app,) = [each for each in outcome.of("Microsoft.App/containerApps") if each.module == package]
    return app


def job_of(outcome: Outcome) -> Resource:
    """The job that makes the users of the database."""
    (job,) = [each for each in outcome.of("Microsoft.App/jobs") if each.module == "users"]
    return job


def container_of(app: Resource) -> dict[str, Any]:
    (container,) = app.body["properties"]["template"]["containers"]
    return dict(container)


def variables_of(outcome: Outcome, package: str) -> dict[str, str]:
    """Name -> value as the container would have it; KeyError for a secret that is nowhere."""
    return variables_in(outcome, app_of(outcome, package))


def variables_in(outcome: Outcome, app: Resource) -> dict[str, str]:
    secrets = {
        each["name"]: each["keyVaultUrl"] for each in app.body["properties"]["configuration"]["secrets"]
    }
    values = vault_of(outcome)
    return {
        each["name"]: each["value"] if "value" in each else values[secrets[each["secretRef"]]]
        for each in container_of(app)["env"]
    }


def vault_of(outcome: Outcome) -> dict[str, str]:
    """Address of a secret -> what is in it."""
    (vault,) = outcome.of("Microsoft.KeyVault/vaults")
    return {
        f"{vault.said['vaultUri']}secrets/{each.name}": each.body["properties"]["value"]
        for each in outcome.of("Microsoft.KeyVault/vaults/secrets")
    }


def settings_of(package: str, variables: Mapping[str, str]) -> Any:
    """The settings that the app makes of exactly these variables. Raises pydantic's ValidationError."""
    with mock.patch.dict(os.environ, variables, clear=True):
        return SETTINGS[package]()


def complaints(files: Files, environment: str) -> list[str]:
    """Variables that no app reads, and those that are needed and not set."""
    outcome = worked_out(files, environment, shell())
    found: list[str] = []
    for package, settings in SETTINGS.items():
        names = [each["name"] for each in container_of(app_of(outcome, package))["env"]]
        known = {name.upper() for name in settings.model_fields} | EXPORTER_S
        found += [f"{package} reads no {name}" for name in names if name not in known]
        found += [f"{package} has {name} twice" for name in set(names) if names.count(name) > 1]
        needed = {*NEEDED[package].split(), *EXPORTER_S}
        found += [f"{package} needs {name}" for name in sorted(needed) if name not in names]
    read = {name.upper() for settings in SETTINGS.values() for name in settings.model_fields}
    found += [
        f"no app reads the output {name}" for name in outcome.outputs if name.isupper() and name not in read
    ]
    return found
