"""The figures of each environment, and that what Azure would be given has the shape it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from enrichment.outbox.postgres_connections import MOST_CONNECTIONS
from tests.bicep.azure import CONNECTIONS, MODELS
from tests.bicep.project import ENVIRONMENTS, changed
from tests.bicep.settings import app_of, container_of, deployed, variables_of
from tests.bicep.shapes import SHAPES, WITHOUT_PROPERTIES, unknown
from tests.bicep.shells import shell
from tests.bicep.working_out import worked_out

ROOT = Path(__file__).parent.parent.parent
EACH = pytest.mark.parametrize("environment", ENVIRONMENTS)
APPS = ("broker", "enrichment")

# Cores, memory, replicas at least and at most, as the operating procedure of the five environments has them.
SIZES = {
    "staging": (0.5, "1Gi", 0, 3),
    "development": (0.5, "1Gi", 0, 2),
    "test": (0.5, "1Gi", 0, 2),
    "uat": (0.5, "1Gi", 1, 5),
    "production": (1, "2Gi", 1, 10),
}


@EACH
def test_an_app_is_as_large_as_its_environment_says(environment):
    for package in APPS:
        app = app_of(deployed(environment), package)
        size = container_of(app)["resources"]
        scale = app.body["properties"]["template"]["scale"]
        found = (size["cpu"], size["memory"], scale["minReplicas"], scale["maxReplicas"])
        assert found == SIZES[environment]


@EACH
def test_only_production_has_zones_private_links_and_copies_in_another_region(environment):
    outcome = deployed(environment)
    is_production = environment == "production"
    (server,) = outcome.of("Microsoft.DBforPostgreSQL/flexibleServers")
    (space,) = outcome.of("Microsoft.App/managedEnvironments")
    (vault,) = outcome.of("Microsoft.KeyVault/vaults")
    assert (server.body["properties"]["highAvailability"]["mode"] == "ZoneRedundant") is is_production
    assert (server.body["properties"]["backup"]["geoRedundantBackup"] == "Enabled") is is_production
    assert (server.body["sku"]["tier"] == "GeneralPurpose") is is_production
    assert space.body["properties"]["zoneRedundant"] is is_production
    assert (space.body["properties"]["vnetConfiguration"] is not None) is is_production
    assert (vault.body["properties"]["sku"]["name"] == "premium") is is_production
    for closed in (server.body["properties"]["network"], vault.body["properties"]):
        assert (closed["publicNetworkAccess"] == "Disabled") is is_production
    assert len(outcome.of("Microsoft.Network/privateEndpoints")) == (5 if is_production else 0)


@EACH
def test_everything_stands_in_east_us_2_but_a_second_domain_of_voice(environment):
    places = {each.body.get("location", "eastus2") for each in deployed(environment).resources}
    two = {"eastus2", "swedencentral"} if environment in {"uat", "production"} else {"eastus2"}
    assert places - {"global"} == two
    accounts = deployed(environment).of("Microsoft.CognitiveServices/accounts")
    assert {account.body["location"] for account in accounts} == two


@EACH
def test_every_domain_has_a_realtime_and_a_transcription_model_that_its_region_offers(environment):
    outcome = deployed(environment)
    regions = {each.id: each.body["location"] for each in outcome.of("Microsoft.CognitiveServices/accounts")}
    found = [
        (model["name"], model["version"], regions[each.body["parent"].id])
        for each in outcome.of("Microsoft.CognitiveServices/accounts/deployments")
        for model in [each.body["properties"]["model"]]
    ]
    assert len(found) == 2 * len(regions)
    assert all(region in MODELS[name, version] for name, version, region in found)


@EACH
def test_the_database_has_a_connection_for_every_replica_that_there_may_be(environment):
    (server,) = deployed(environment).of("Microsoft.DBforPostgreSQL/flexibleServers")
    limits, audit, news, at_deployment = 4, 2, 1, 2  # replicas of two revisions, for a while
    a_broker = limits + audit
    an_enrichment = MOST_CONNECTIONS + news + limits + audit
    needed = SIZES[environment][3] * at_deployment * (a_broker + an_enrichment)
    assert needed <= CONNECTIONS[server.body["sku"]["name"]]


@EACH
def test_names_are_as_long_and_as_plain_as_azure_takes_them(environment):
    outcome = deployed(environment)
    (vault,) = outcome.of("Microsoft.KeyVault/vaults")
    assert re.fullmatch(r"[a-z][a-z0-9-]{2,23}", vault.name)
    for app in outcome.of("Microsoft.App/containerApps"):
        assert re.fullmatch(r"[a-z][a-z0-9-]{1,31}", app.name)
    ids = [each.id for each in outcome.resources if not each.is_existing]
    assert len(set(ids)) == len(ids)


@EACH
def test_a_resource_has_only_parts_that_its_type_knows(environment):
    for each in deployed(environment).resources:
        properties = each.body.get("properties", {})
        if each.type in WITHOUT_PROPERTIES or each.is_existing:
            assert properties == {}
        else:
            assert (each.type, list(unknown(each.type, "properties", properties))) == (each.type, [])


@pytest.mark.parametrize(
    ("path", "old", "new", "complaint"),
    [
        ("modules/app.bicep", "minReplicas:", "minReplica:", "scale.minReplica"),
        ("modules/app.bicep", "allowedOrigins:", "origins:", "corsPolicy.origins"),
        ("modules/database.bicep", "autoGrow:", "autogrow:", "storage.autogrow"),
        ("modules/endpoint.bicep", "groupIds:", "groups:", "properties.groups"),
        ("modules/network.bicep", "serviceName:", "service:", "properties.service"),
        ("modules/voice.bicep", "disableLocalAuth:", "disableKeys:", "properties.disableKeys"),
    ],
)
def test_a_part_that_no_type_knows_is_noticed(path, old, new, complaint):
    outcome = worked_out(changed(path, old, new), "production", shell())
    found = [
        name
        for each in outcome.resources
        if each.type in SHAPES
        for name in unknown(each.type, "properties", each.body.get("properties", {}))
    ]
    assert complaint in found


@EACH
def test_probes_ask_routes_that_exist_at_the_port_that_is_served(environment):
    for package in APPS:
        app = app_of(deployed(environment), package)
        container = container_of(app)
        port = app.body["properties"]["configuration"]["ingress"]["targetPort"]
        assert container["command"] == f"python -m {package} serve --host 0.0.0.0 --port {port}".split()
        asked = {
            each["type"]: (each["httpGet"]["path"], each["httpGet"]["port"]) for each in container["probes"]
        }
        assert asked == {
            "Startup": ("/health", port),
            "Liveness": ("/health", port),
            "Readiness": ("/ready", port),
        }
        assert app.body["properties"]["template"]["terminationGracePeriodSeconds"] == 60


def test_the_platform_lets_pages_do_what_the_apps_let_them():
    cors = app_of(deployed("test"), "broker").body["properties"]["configuration"]["ingress"]["corsPolicy"]
    source = (ROOT / "broker/edge/hardened.py").read_text()
    for theirs, ours in (("allowedHeaders", "allow_headers"), ("exposeHeaders", "expose_headers")):
        (listed,) = re.findall(rf"{ours}=\[(.*?)\]", source)
        assert cors[theirs] == re.findall(r'"(.*?)"', listed)
    assert "*" not in str(cors)


@EACH
def test_the_broker_asks_as_the_identity_that_it_runs_as_and_that_may_call_every_domain(environment):
    outcome = deployed(environment)
    asks_as = variables_of(outcome, "broker")["AZURE_CLIENT_ID"]
    (identity,) = [
        each
        for each in outcome.of("Microsoft.ManagedIdentity/userAssignedIdentities")
        if each.said["clientId"] == asks_as
    ]
    assert list(app_of(outcome, "broker").body["identity"]["userAssignedIdentities"]) == [identity.id]
    callers = [
        (each.body["scope"].id, each.body["properties"]["principalId"])
        for each in outcome.of("Microsoft.Authorization/roleAssignments")
        if "5e0bd9bd" in each.body["properties"]["roleDefinitionId"]
    ]
    accounts = outcome.of("Microsoft.CognitiveServices/accounts")
    assert callers == [(account.id, identity.said["principalId"]) for account in accounts]


@EACH
def test_nobody_gets_in_by_a_key_or_without_tls_and_the_platform_asks_nobody_to_sign_in(environment):
    outcome = deployed(environment)
    for account in outcome.of("Microsoft.CognitiveServices/accounts"):
        assert account.body["properties"]["disableLocalAuth"] is True
    (vault,) = outcome.of("Microsoft.KeyVault/vaults")
    for name in ("enableRbacAuthorization", "enableSoftDelete", "enablePurgeProtection"):
        assert vault.body["properties"][name] is True
    for package in APPS:
        ingress = app_of(outcome, package).body["properties"]["configuration"]["ingress"]
        assert ingress["allowInsecure"] is False
        assert ingress["corsPolicy"]["allowCredentials"] is False
    for sign_in in outcome.of("Microsoft.App/containerApps/authConfigs"):
        assert sign_in.body["properties"] == {
            "platform": {"enabled": False},
            "globalValidation": {"unauthenticatedClientAction": "AllowAnonymous"},
        }
