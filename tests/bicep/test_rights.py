"""Who may do what: each identity only what it needs, each secret for those who read it."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.bicep.project import ENVIRONMENTS, changed
from tests.bicep.settings import app_of, deployed, job_of, variables_in, variables_of
from tests.bicep.shells import shell
from tests.bicep.working_out import worked_out

EACH = pytest.mark.parametrize("environment", ENVIRONMENTS)
REAL = ("test", "uat", "production")
ROLES = {"reads secrets": "4633458b", "mints": "5e0bd9bd", "pulls": "7f951dda", "adds blobs": "ba92f5b4"}

# Who reads which secrets; `audit-key` where there is an audit.
READERS = {
    "broker": {"broker-database-url", "grant-signing-key", "metrics-token", "audit-key"},
    "enrichment": {"enrichment-database-url", "zep-api-key", "metrics-token", "audit-key"},
    "users": {"database-admin-url", "broker-database-url", "enrichment-database-url"},
}


def given(outcome, role):
    """Who has the role, and on what."""
    return [
        (each.body["properties"]["principalId"], each.body["scope"].id)
        for each in outcome.of("Microsoft.Authorization/roleAssignments")
        if each.body["properties"]["roleDefinitionId"].rsplit("/", 1)[1].startswith(ROLES[role])
    ]


def identities(outcome):
    """The last word of each identity's name -> its principal."""
    found = outcome.of("Microsoft.ManagedIdentity/userAssignedIdentities")
    return {each.name.rsplit("-", 1)[1]: each.said["principalId"] for each in found}


@EACH
def test_nobody_reads_a_secret_that_is_not_theirs(environment):
    outcome, absent = deployed(environment), set() if environment in REAL else {"audit-key"}
    reads = given(outcome, "reads secrets")
    for who, principal in identities(outcome).items():
        secrets = [scope.partition("/secrets/")[2] for reader, scope in reads if reader == principal]
        assert sorted(secrets) == sorted(READERS[who] - absent)


def test_a_role_for_the_whole_vault_would_be_noticed():
    files = changed("modules/reads.bicep", "scope: contents[index]", "scope: vault")
    assert {
        scope.partition("/secrets/")[2]
        for _, scope in given(worked_out(files, "test", shell()), "reads secrets")
    } == {""}


@EACH
def test_of_the_other_roles_everybody_has_only_their_own(environment):
    outcome = deployed(environment)
    who = identities(outcome)
    assert sorted(principal for principal, _ in given(outcome, "pulls")) == sorted(who.values())
    assert {principal for principal, _ in given(outcome, "mints")} == {who["broker"]}
    added = {principal: scope.rsplit("/", 1)[1] for principal, scope in given(outcome, "adds blobs")}
    ours = {who[app]: app for app in ("broker", "enrichment")}
    assert added == (ours if environment in REAL else {})


@EACH
def test_an_app_knows_its_own_user_and_database_and_no_other(environment):
    outcome = deployed(environment)
    (server,) = outcome.of("Microsoft.DBforPostgreSQL/flexibleServers")
    for package in ("broker", "enrichment"):
        addresses = [
            conninfo_to_dict(value)
            for value in variables_of(outcome, package).values()
            if value.startswith("postgresql://")
        ]
        assert len(addresses) >= (2 if environment in REAL else 1)
        for address in addresses:
            assert (address["user"], address["dbname"]) == (package, package)
            assert address["host"] == server.said["fullyQualifiedDomainName"]
            assert address["sslmode"] == "require"


@EACH
def test_the_job_of_the_users_is_the_administrator_s_and_makes_what_the_apps_name(environment):
    outcome = deployed(environment)
    (server,) = outcome.of("Microsoft.DBforPostgreSQL/flexibleServers")
    variables = variables_in(outcome, job_of(outcome))
    admin = conninfo_to_dict(variables["ADMIN_URL"])
    assert admin["user"] == server.body["properties"]["administratorLogin"]
    assert admin["password"] == server.body["properties"]["administratorLoginPassword"]
    assert variables["BROKER_URL"] == variables_of(outcome, "broker")["LIMITS_URL"]
    assert variables["ENRICHMENT_URL"] == variables_of(outcome, "enrichment")["DATABASE_URL"]
    image = app_of(outcome, "broker").body["properties"]["template"]["containers"][0]["image"]
    assert job_of(outcome).body["properties"]["template"]["containers"][0]["image"] == image


@pytest.mark.parametrize("environment", REAL)
def test_what_is_on_record_is_anchored_where_nobody_can_take_it_back(environment):
    outcome = deployed(environment)
    (account,) = outcome.of("Microsoft.Storage/storageAccounts")
    assert account.body["properties"]["allowSharedKeyAccess"] is False
    assert account.body["properties"]["allowBlobPublicAccess"] is False
    kept = outcome.of("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies")
    assert [each.body["properties"]["allowProtectedAppendWrites"] for each in kept] == [True, True]
    addresses = set()
    for package in ("broker", "enrichment"):
        variables = variables_of(outcome, package)
        addresses.add(variables["AUDIT_ANCHOR_URL"])
        assert variables["AUDIT_ANCHOR_URL"] == f"{account.said['primaryEndpoints']['blob']}{package}"
        (identity,) = [
            each
            for each in outcome.of("Microsoft.ManagedIdentity/userAssignedIdentities")
            if each.said["clientId"] == variables["AUDIT_ANCHOR_CLIENT_ID"]
        ]
        assert list(app_of(outcome, package).body["identity"]["userAssignedIdentities"]) == [identity.id]
    assert len(addresses) == 2


def test_policies_that_were_locked_are_left_as_they_are():
    files = changed("env/uat.bicepparam", "anchorsLocked = false", "anchorsLocked = true")
    outcome = worked_out(files, "uat", shell())
    assert outcome.of("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies") == []
    assert len(outcome.of("Microsoft.Storage/storageAccounts/blobServices/containers")) == 2
