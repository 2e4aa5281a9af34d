"""What may stand in which part of a resource: the names that its type's types.md lists, as far as it goes.

Read in https://github.com/Azure/bicep-types-az/tree/main/generated at the versions of `azure.VERSIONS`; those
of networks and pages in https://learn.microsoft.com/azure/templates, some of an older version (all checked
2026-11-20). A part is called as the property that holds it; where a name means two parts, the second is
``outer.inner``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SHAPES = {
    "Microsoft.App/containerApps": {
        "properties": "configuration environmentId template workloadProfileName",
        "configuration": "activeRevisionsMode dapr ingress maxInactiveRevisions registries secrets service",
        "ingress": """additionalPortMappings allowInsecure clientCertificateMode corsPolicy customDomains
            exposedPort external ipSecurityRestrictions stickySessions targetPort traffic transport""",
        "corsPolicy": "allowCredentials allowedHeaders allowedMethods allowedOrigins exposeHeaders maxAge",
        "registries": "identity passwordSecretRef server username",
        "secrets": "identity keyVaultUrl name value",
        "template": """containers initContainers revisionSuffix scale serviceBinds
            terminationGracePeriodSeconds volumes""",
        "containers": "args command env image name probes resources volumeMounts",
        "env": "name value secretRef",
        "resources": "cpu memory",
        "probes": """failureThreshold httpGet initialDelaySeconds periodSeconds successThreshold tcpSocket
            terminationGracePeriodSeconds timeoutSeconds type""",
        "httpGet": "host httpHeaders path port scheme",
        "scale": "maxReplicas minReplicas rules",
        "rules": "azureQueue custom http name tcp",
        "custom": "auth metadata type",
        "http": "auth metadata",
        "auth": "secretRef triggerParameter",
    },
    "Microsoft.App/containerApps/authConfigs": {
        "properties": "encryptionSettings globalValidation httpSettings identityProviders login platform",
        "platform": "enabled runtimeVersion",
        "globalValidation": "redirectToProvider unauthenticatedClientAction",
    },
    "Microsoft.App/jobs": {
        "properties": "configuration environmentId template workloadProfileName",
        "configuration": """eventTriggerConfig identitySettings manualTriggerConfig registries
            replicaRetryLimit replicaTimeout scheduleTriggerConfig secrets triggerType""",
        "manualTriggerConfig": "parallelism replicaCompletionCount",
        "registries": "identity passwordSecretRef server username",
        "secrets": "identity keyVaultUrl name value",
        "template": "containers initContainers volumes",
        "containers": "args command env image name probes resources volumeMounts",
        "env": "name value secretRef",
        "resources": "cpu memory",
    },
    "Microsoft.App/managedEnvironments": {
        "properties": """appLogsConfiguration customDomainConfiguration daprAIConnectionString
            daprAIInstrumentationKey infrastructureResourceGroup peerAuthentication peerTrafficConfiguration
            vnetConfiguration workloadProfiles zoneRedundant""",
        "appLogsConfiguration": "destination logAnalyticsConfiguration",
        "logAnalyticsConfiguration": "customerId sharedKey",
        "vnetConfiguration": """dockerBridgeCidr infrastructureSubnetId internal platformReservedCidr
            platformReservedDnsIP""",
        "workloadProfiles": "maximumCount minimumCount name workloadProfileType",
    },
    "Microsoft.Authorization/roleAssignments": {
        "properties": """condition conditionVersion delegatedManagedIdentityResourceId description principalId
            principalType roleDefinitionId""",
    },
    "Microsoft.CognitiveServices/accounts": {
        "properties": """allowProjectManagement customSubDomainName disableLocalAuth dynamicThrottlingEnabled
            encryption networkAcls networkInjections publicNetworkAccess restrictOutboundNetworkAccess""",
    },
    "Microsoft.CognitiveServices/accounts/deployments": {
        "properties": "model raiPolicyName spilloverDeploymentName versionUpgradeOption",
        "model": "format name publisher source sourceAccount version",
    },
    "Microsoft.DBforPostgreSQL/flexibleServers": {
        "properties": """administratorLogin administratorLoginPassword authConfig availabilityZone backup
            createMode dataEncryption highAvailability maintenanceWindow network replica storage version""",
        "backup": "backupRetentionDays geoRedundantBackup",
        "highAvailability": "mode standbyAvailabilityZone",
        "network": "delegatedSubnetResourceId privateDnsZoneArmResourceId publicNetworkAccess",
        "storage": "autoGrow iops storageSizeGB throughput tier type",
    },
    "Microsoft.DBforPostgreSQL/flexibleServers/firewallRules": {"properties": "endIpAddress startIpAddress"},
    "Microsoft.Insights/actionGroups": {
        "properties": """armRoleReceivers emailReceivers enabled groupShortName logicAppReceivers smsReceivers
            webhookReceivers""",
        "emailReceivers": "emailAddress name useCommonAlertSchema",
        "webhookReceivers": "name serviceUri useAadAuth useCommonAlertSchema",
    },
    "Microsoft.Insights/components": {
        "properties": "Application_Type DisableLocalAuth IngestionMode RetentionInDays WorkspaceResourceId",
    },
    "Microsoft.Insights/scheduledQueryRules": {
        "properties": """actions autoMitigate criteria description displayName enabled evaluationFrequency
            muteActionsDuration overrideQueryTimeRange scopes severity skipQueryValidation
            targetResourceTypes windowSize""",
        "actions": "actionGroups customProperties",
        "criteria": "allOf",
        "allOf": """dimensions failingPeriods metricMeasureColumn operator query resourceIdColumn threshold
            timeAggregation""",
        "failingPeriods": "minFailingPeriodsToAlert numberOfEvaluationPeriods",
    },
    "Microsoft.KeyVault/vaults": {
        "properties": """createMode enabledForTemplateDeployment enablePurgeProtection enableRbacAuthorization
            enableSoftDelete networkAcls publicNetworkAccess sku softDeleteRetentionInDays tenantId""",
        "sku": "family name",
    },
    "Microsoft.KeyVault/vaults/secrets": {"properties": "attributes contentType value"},
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": {
        "properties": "registrationEnabled resolutionPolicy virtualNetwork",
        "virtualNetwork": "id",
    },
    "Microsoft.Network/privateEndpoints": {
        "properties": """customNetworkInterfaceName ipConfigurations manualPrivateLinkServiceConnections
            privateLinkServiceConnections subnet""",
        "subnet": "id",
        "privateLinkServiceConnections": "id name properties",
        "privateLinkServiceConnections.properties": "groupIds privateLinkServiceId requestMessage",
    },
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": {
        "properties": "privateDnsZoneConfigs",
        "privateDnsZoneConfigs": "name properties",
        "privateDnsZoneConfigs.properties": "privateDnsZoneId",
    },
    "Microsoft.Network/virtualNetworks": {
        "properties": "addressSpace dhcpOptions encryption subnets",
        "addressSpace": "addressPrefixes",
        "subnets": "id name properties",
        "subnets.properties": "addressPrefix addressPrefixes delegations networkSecurityGroup",
        "delegations": "id name properties type",
        "delegations.properties": "serviceName",
    },
    "Microsoft.OperationalInsights/workspaces": {"properties": "retentionInDays sku", "sku": "name"},
    "Microsoft.Storage/storageAccounts": {
        "properties": """accessTier allowBlobPublicAccess allowCrossTenantReplication allowSharedKeyAccess
            encryption immutableStorageWithVersioning isHnsEnabled minimumTlsVersion networkAcls
            publicNetworkAccess supportsHttpsTrafficOnly""",
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {
        "properties": "defaultEncryptionScope immutableStorageWithVersioning metadata publicAccess",
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": {
        "properties": """allowProtectedAppendWrites allowProtectedAppendWritesAll
            immutabilityPeriodSinceCreationInDays""",
    },
    "Microsoft.Web/staticSites": {
        "properties": "allowConfigFileUpdates branch publicNetworkAccess stagingEnvironmentPolicy",
    },
}
# Of these there is nothing to say but that they are.
WITHOUT_PROPERTIES = frozenset(
    [
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        "Microsoft.Network/privateDnsZones",
        "Microsoft.Storage/storageAccounts/blobServices",
    ]
)


def unknown(type_: str, part: str, body: dict[str, Any], outer: str = "") -> Iterator[str]:
    """Names that are in no such part of the type, as ``part.name``."""
    shape = SHAPES[type_]
    known = shape.get(f"{outer}.{part}", shape.get(part, "")).split()
    for name, value in body.items():
        if name not in known:
            yield f"{part}.{name}"
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and (name in shape or f"{part}.{name}" in shape):
                yield from unknown(type_, name, each, part)
