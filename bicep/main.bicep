// One environment: two container apps, a page, a database, a vault, and voice in one or more regions.
// What differs between environments are the values in env/*.bicepparam; nothing here asks for a name of one.
targetScope = 'resourceGroup'

@description('Which rules the apps hold themselves to.')
@allowed([
  'staging'
  'development'
  'test'
  'uat'
  'production'
])
param environment string

@description('First part of every name.')
@minLength(2)
@maxLength(8)
param namePrefix string

@description('Region of everything but further voice domains.')
param location string

@description('The image of both apps, with its digest: REGISTRY/voicelive@sha256:…')
param image string

@description('Azure Container Registry of this resource group that holds the image.')
param registryName string

@description('CPU cores of a replica, such as 0.5.')
param cpu string

@description('Memory of a replica, such as 1Gi.')
param memory string

param minReplicas int
param maxReplicas int

@description('Replicas and the standby of the database stand in several zones.')
param zoneRedundant bool

@description('A network of its own, private endpoints and private DNS for the vault, the database and voice.')
param privateLink bool

@description('Azure OpenAI accounts, the first asked first: region and thousands of tokens a minute.')
@minLength(1)
param voiceDomains array

@description('False makes everybody one person; refused but in staging and development.')
param authRequired bool

@description('Made-up people; refused but in staging and development.')
param devTokens bool

@description('Ids of the tenants whose people may come in.')
param entraTenants array

@description('Client ids that their access tokens are for.')
param entraAudiences array

param auditEnabled bool

@minValue(1)
@maxValue(3650)
param retentionDays int

@minValue(30)
@maxValue(730)
param logRetentionDays int

@allowed([
  'DEBUG'
  'INFO'
  'WARNING'
  'ERROR'
])
param logLevel string

param databaseTier string
param databaseSku string

@description('Share of all traces that Application Insights gets, 0 to 1; 0 sends none.')
param tracesRatio string

@description('For so many days nobody can delete an anchor of the audit.')
@minValue(1)
@maxValue(3650)
param anchorDays int

@description('True once the policies that keep anchors have been locked.')
param anchorsLocked bool

@description('Backups are kept in the paired region too.')
param databaseGeoBackup bool

@allowed([
  'standard'
  'premium'
])
param vaultSku string

@allowed([
  'Free'
  'Standard'
])
param pageSku string

@allowed([
  'zep'
  'zep-cloud'
])
param memoryBackend string

param zepUrl string

@description('Action groups and alert rules.')
param alerts bool

param alertEmail string = ''
param securityEmail string = ''

@secure()
param pagerDutyUrl string = ''

@secure()
param slackUrl string = ''

@description('Of the administrator, whom only the job of the users is.')
@secure()
param databasePassword string

@secure()
param brokerDatabasePassword string

@secure()
param enrichmentDatabasePassword string

@description('What a scraper of /metrics must bear.')
@secure()
param metricsToken string

@secure()
param grantSigningKey string

@description('Public keys that are published beside the own one, while grant keys are changed.')
param grantOtherKeys string = ''

@secure()
param zepApiKey string

@secure()
param auditKey string = ''

var suffix = take(uniqueString(resourceGroup().id), 8)
var realtimeModel = 'gpt-realtime'
var transcriptionModel = 'gpt-4o-mini-transcribe'
var voiceAccounts = map(voiceDomains, domain => {
  region: domain.region
  tokens: domain.thousandTokensPerMinute
  name: '${namePrefix}-voice-${domain.region}-${suffix}'
})
var furtherDomains = map(skip(voiceAccounts, 1), account => {
  region: account.region
  endpoint: 'https://${account.name}.openai.azure.com'
})
var brokerName = '${namePrefix}-env-broker'
var enrichmentName = '${namePrefix}-env-enrichment'
var usersName = '${namePrefix}-env-users'

module logs 'modules/logs.bicep' = {
  name: 'logs'
  params: {
    location: location
    namePrefix: namePrefix
    retentionDays: logRetentionDays
  }
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: {
    location: location
    namePrefix: namePrefix
  }
}

module pull 'modules/pull.bicep' = {
  name: 'pull'
  params: {
    registryName: registryName
    principalIds: [
      identities.outputs.brokerPrincipalId
      identities.outputs.enrichmentPrincipalId
      identities.outputs.usersPrincipalId
    ]
  }
}

module network 'modules/network.bicep' = if (privateLink) {
  name: 'network'
  params: {
    location: location
    namePrefix: namePrefix
  }
}

module database 'modules/database.bicep' = {
  name: 'database'
  params: {
    location: location
    name: '${namePrefix}-postgres-${suffix}'
    tier: databaseTier
    sku: databaseSku
    zoneRedundant: zoneRedundant
    geoBackup: databaseGeoBackup
    isPublic: !privateLink
    password: databasePassword
  }
}

// Each app has a user of its own, with a database of the same name for all that it keeps.
var administrator = 'voicelive:${uriComponent(databasePassword)}'
var brokerUser = 'broker:${uriComponent(brokerDatabasePassword)}'
var enrichmentUser = 'enrichment:${uriComponent(enrichmentDatabasePassword)}'
var databaseServer = '${database.outputs.host}:5432'

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    location: location
    name: '${namePrefix}envkv${suffix}'
    sku: vaultSku
    isPublic: !privateLink
    secrets: union({
      'database-admin-url': 'postgresql://${administrator}@${databaseServer}/postgres?sslmode=require'
      'broker-database-url': 'postgresql://${brokerUser}@${databaseServer}/broker?sslmode=require'
      'enrichment-database-url': 'postgresql://${enrichmentUser}@${databaseServer}/enrichment?sslmode=require'
      'grant-signing-key': grantSigningKey
      'metrics-token': metricsToken
      'zep-api-key': zepApiKey
    }, auditEnabled ? {
      'audit-key': auditKey
    } : {})
  }
}

module anchors 'modules/anchors.bicep' = if (auditEnabled) {
  name: 'anchors'
  params: {
    location: location
    name: '${namePrefix}anchors${suffix}'
    sku: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
    isPublic: !privateLink
    days: anchorDays
    isLocked: anchorsLocked
    writers: [
      {
        container: 'broker'
        principalId: identities.outputs.brokerPrincipalId
      }
      {
        container: 'enrichment'
        principalId: identities.outputs.enrichmentPrincipalId
      }
    ]
  }
}

module voice 'modules/voice.bicep' = [for account in voiceAccounts: {
  name: 'voice-${account.region}'
  params: {
    location: account.region
    name: account.name
    thousandTokensPerMinute: account.tokens
    realtimeModel: realtimeModel
    transcriptionModel: transcriptionModel
    callerId: identities.outputs.brokerPrincipalId
  }
}]

module links 'modules/links.bicep' = if (privateLink) {
  name: 'links'
  params: {
    location: location
    namePrefix: namePrefix
    subnetId: network!.outputs.endpointsSubnetId
    vaultId: vault.outputs.id
    databaseId: database.outputs.id
    anchorsId: auditEnabled ? anchors!.outputs.id : ''
    voiceNames: map(voiceAccounts, account => account.name)
    zoneIds: network!.outputs.zoneIds
  }
  dependsOn: [
    voice
  ]
}

module page 'modules/page.bicep' = {
  name: 'page'
  params: {
    location: location
    name: '${namePrefix}-env-page'
    sku: pageSku
  }
}

module space 'modules/space.bicep' = {
  name: 'space'
  params: {
    location: location
    name: '${namePrefix}-env'
    workspaceName: logs.outputs.workspaceName
    zoneRedundant: zoneRedundant
    subnetId: privateLink ? network!.outputs.appsSubnetId : ''
  }
}

var brokerUrl = 'https://${brokerName}.${space.outputs.domain}'
var enrichmentUrl = 'https://${enrichmentName}.${space.outputs.domain}'
var jwksUrl = '${brokerUrl}/.well-known/jwks.json'
var voiceEndpoint = 'https://${voiceAccounts[0].name}.openai.azure.com'

// What both apps read. Who reads which secret follows from what each is given here.
// Limits are on everywhere: a broker that lets everybody in is on the internet too.
var sharedSettings = {
  ENVIRONMENT: environment
  AUTH_REQUIRED: authRequired ? 'true' : 'false'
  AUTH_DEV_TOKENS: devTokens ? 'true' : 'false'
  ENTRA_TENANTS: string(entraTenants)
  ENTRA_AUDIENCES: string(entraAudiences)
  CORS_ORIGINS: string([
    page.outputs.origin
  ])
  LOG_LEVEL: logLevel
  AUDIT_LOG_ENABLED: auditEnabled ? 'true' : 'false'
  LIMITS: 'on'
  TRUSTED_PROXIES: '1'
  DRAIN_S: '20'
  TRACES: tracesRatio == '0' ? 'off' : 'azure-monitor'
  TRACES_RATIO: tracesRatio
  APPLICATIONINSIGHTS_CONNECTION_STRING: logs.outputs.insightsConnection
  // The exporter reads these itself: it would tell Microsoft how it is used.
  APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL: 'true'
  APPLICATIONINSIGHTS_SDKSTATS_DISABLED: 'true'
  APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED: 'true'
}
var anchorsUrl = auditEnabled ? anchors!.outputs.url : ''
var brokerVaultSettings = union({
  GRANT_SIGNING_KEY: 'grant-signing-key'
  LIMITS_URL: 'broker-database-url'
  METRICS_TOKEN: 'metrics-token'
}, auditEnabled ? {
  AUDIT_KEY: 'audit-key'
  AUDIT_URL: 'broker-database-url'
} : {})
var enrichmentVaultSettings = union({
  DATABASE_URL: 'enrichment-database-url'
  LIMITS_URL: 'enrichment-database-url'
  METRICS_TOKEN: 'metrics-token'
  ZEP_API_KEY: 'zep-api-key'
}, auditEnabled ? {
  AUDIT_KEY: 'audit-key'
  AUDIT_URL: 'enrichment-database-url'
} : {})
var usersVaultSettings = {
  ADMIN_URL: 'database-admin-url'
  BROKER_URL: 'broker-database-url'
  ENRICHMENT_URL: 'enrichment-database-url'
}

module brokerReads 'modules/reads.bicep' = {
  name: 'reads-broker'
  params: {
    vaultName: vault.outputs.name
    secretNames: union(map(items(brokerVaultSettings), setting => setting.value), [])
    readerId: identities.outputs.brokerPrincipalId
  }
}

module enrichmentReads 'modules/reads.bicep' = {
  name: 'reads-enrichment'
  params: {
    vaultName: vault.outputs.name
    secretNames: union(map(items(enrichmentVaultSettings), setting => setting.value), [])
    readerId: identities.outputs.enrichmentPrincipalId
  }
}

module usersReads 'modules/reads.bicep' = {
  name: 'reads-users'
  params: {
    vaultName: vault.outputs.name
    secretNames: map(items(usersVaultSettings), setting => setting.value)
    readerId: identities.outputs.usersPrincipalId
  }
}

module users 'modules/users.bicep' = {
  name: 'users'
  params: {
    location: location
    name: usersName
    image: image
    registryServer: pull.outputs.server
    spaceId: space.outputs.id
    identityId: identities.outputs.usersId
    vaultUri: vault.outputs.uri
    vaultSettings: usersVaultSettings
  }
  dependsOn: [
    usersReads
    links
  ]
}

module broker 'modules/app.bicep' = {
  name: 'broker'
  params: {
    location: location
    name: brokerName
    package: 'broker'
    image: image
    registryServer: pull.outputs.server
    spaceId: space.outputs.id
    identityId: identities.outputs.brokerId
    vaultUri: vault.outputs.uri
    origin: page.outputs.origin
    cpu: cpu
    memory: memory
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    outboxReference: ''
    settings: union(sharedSettings, {
      AZURE_VOICELIVE_ENDPOINT: voiceEndpoint
      AZURE_VOICELIVE_IDENTITY: 'managed'
      AZURE_CLIENT_ID: identities.outputs.brokerClientId
      AZURE_VOICELIVE_MODEL: realtimeModel
      AZURE_VOICELIVE_REGION: voiceAccounts[0].region
      AZURE_VOICELIVE_DOMAINS: string(furtherDomains)
      TRANSCRIPTION_MODEL: transcriptionModel
      ENRICHMENT_URL: enrichmentUrl
      GRANT_OTHER_KEYS: grantOtherKeys
    }, auditEnabled ? {
      AUDIT_ANCHOR_URL: '${anchorsUrl}broker'
      AUDIT_ANCHOR_CLIENT_ID: identities.outputs.brokerClientId
    } : {})
    vaultSettings: brokerVaultSettings
  }
  dependsOn: [
    voice
    links
    brokerReads
  ]
}

module enrichment 'modules/app.bicep' = {
  name: 'enrichment'
  params: {
    location: location
    name: enrichmentName
    package: 'enrichment'
    image: image
    registryServer: pull.outputs.server
    spaceId: space.outputs.id
    identityId: identities.outputs.enrichmentId
    vaultUri: vault.outputs.uri
    origin: page.outputs.origin
    cpu: cpu
    memory: memory
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    outboxReference: 'enrichment-database-url'
    settings: union(sharedSettings, {
      MEMORY_BACKEND: memoryBackend
      ZEP_API_URL: zepUrl
      GRANT_JWKS_URL: jwksUrl
      DATA_RETENTION_DAYS: string(retentionDays)
    }, auditEnabled ? {
      AUDIT_ANCHOR_URL: '${anchorsUrl}enrichment'
      AUDIT_ANCHOR_CLIENT_ID: identities.outputs.enrichmentClientId
    } : {})
    vaultSettings: enrichmentVaultSettings
  }
  dependsOn: [
    links
    enrichmentReads
  ]
}

module alarm 'modules/alerts.bicep' = if (alerts) {
  name: 'alerts'
  params: {
    location: location
    namePrefix: namePrefix
    workspaceId: logs.outputs.workspaceId
    email: alertEmail
    securityEmail: securityEmail
    pagerDutyUrl: pagerDutyUrl
    slackUrl: slackUrl
  }
}

output brokerUrl string = brokerUrl
output enrichmentUrl string = enrichmentUrl
output usersName string = usersName
output pageName string = page.outputs.name
output CORS_ORIGINS string = string([
  page.outputs.origin
])
output AZURE_VOICELIVE_ENDPOINT string = voiceEndpoint
output AZURE_VOICELIVE_DOMAINS string = string(furtherDomains)
output AZURE_VOICELIVE_MODEL string = realtimeModel
output TRANSCRIPTION_MODEL string = transcriptionModel
output ENRICHMENT_URL string = enrichmentUrl
output GRANT_JWKS_URL string = jwksUrl
