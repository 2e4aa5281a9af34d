"""What is known of Azure, looked up and kept: role ids, API versions, what a resource says once it is there.

Versions: each is a folder of https://github.com/Azure/bicep-types-az/tree/main/generated, which the types of
the compiler come from (checked 2026-11-20). Role ids: as public templates use them under these names (checked
2026-11-20); https://learn.microsoft.com/azure/role-based-access-control/built-in-roles lists them all.
"""

from __future__ import annotations

ROLES = {
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd": "Cognitive Services OpenAI User",
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
}

# Type -> the one version that is used here, so that a type is never asked for in two shapes.
VERSIONS = {
    "Microsoft.App/containerApps": "2024-03-01",
    "Microsoft.App/containerApps/authConfigs": "2024-03-01",
    "Microsoft.App/jobs": "2024-03-01",
    "Microsoft.App/managedEnvironments": "2024-03-01",
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.CognitiveServices/accounts": "2025-06-01",
    "Microsoft.CognitiveServices/accounts/deployments": "2025-06-01",
    "Microsoft.ContainerRegistry/registries": "2023-07-01",
    "Microsoft.DBforPostgreSQL/flexibleServers": "2024-08-01",
    "Microsoft.DBforPostgreSQL/flexibleServers/firewallRules": "2024-08-01",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/scheduledQueryRules": "2022-06-15",
    "Microsoft.KeyVault/vaults": "2023-07-01",
    "Microsoft.KeyVault/vaults/secrets": "2023-07-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2023-01-31",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2024-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2024-05-01",
    "Microsoft.Network/virtualNetworks": "2024-05-01",
    "Microsoft.OperationalInsights/workspaces": "2023-09-01",
    "Microsoft.Storage/storageAccounts": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": "2023-05-01",
    "Microsoft.Web/staticSites": "2024-04-01",
}

# Model and version -> regions with it as Global Standard, of those that are used here.
# https://github.com/MicrosoftDocs/azure-ai-docs/blob/main/articles/foundry/openai/includes/model-matrix/
# standard-global.md (checked 2026-11-20)
MODELS = {
    ("gpt-realtime", "2025-08-28"): {"eastus2", "swedencentral"},
    ("gpt-4o-mini-transcribe", "2025-12-15"): {"eastus2", "swedencentral"},
}

# Size of a PostgreSQL -> connections that it lets others have.
# https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-limits (checked 2026-11-20)
CONNECTIONS = {"Standard_B2s": 414, "Standard_D2ds_v5": 844}

# What Azure adds to a resource, in a shape that could be real: for working a file out without Azure.
# {twelve} are signs that are another resource's own, {name} is what it is called. Telemetry would go nowhere.
SAID_BY_AZURE = {
    "Microsoft.App/managedEnvironments": {"defaultDomain": "calm-1a2b3c4d.eastus2.azurecontainerapps.io"},
    "Microsoft.ContainerRegistry/registries": {"loginServer": "registry.azurecr.io"},
    "Microsoft.DBforPostgreSQL/flexibleServers": {
        "fullyQualifiedDomainName": "server.postgres.database.azure.com"
    },
    "Microsoft.Insights/components": {
        "ConnectionString": "InstrumentationKey=33333333-4444-5555-6666-{twelve};"
        "IngestionEndpoint=http://127.0.0.1:9/"
    },
    "Microsoft.KeyVault/vaults": {"vaultUri": "https://vault.vault.azure.net/"},
    "Microsoft.ManagedIdentity/userAssignedIdentities": {
        "clientId": "11111111-2222-3333-4444-{twelve}",
        "principalId": "66666666-7777-8888-9999-{twelve}",
    },
    "Microsoft.OperationalInsights/workspaces": {"customerId": "22222222-3333-4444-5555-666666666666"},
    "Microsoft.Storage/storageAccounts": {
        "primaryEndpoints": {"blob": "https://{name}.blob.core.windows.net/"}
    },
    "Microsoft.Web/staticSites": {"defaultHostname": "calm-sea-0a1b2c3d4.5.azurestaticapps.net"},
}
