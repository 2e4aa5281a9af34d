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

@secure()
param databasePassword string

@secure()
param grantSigningKey string

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

var databaseUser = 'voicelive:${uriComponent(databasePassword)}'
var databaseServer = '${database.outputs.host}:5432'

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    location: location
    name: '${namePrefix}envkv${suffix}'
    sku: vaultSku
    isPublic: !privateLink
    readerIds: [
      identities.outputs.brokerPrincipalId
      identities.outputs.enrichmentPrincipalId
    ]
    secrets: union({
      'database-url': 'postgresql://${databaseUser}@${databaseServer}/outbox?sslmode=require'
      'limits-url': 'postgresql://${databaseUser}@${databaseServer}/limits?sslmode=require'
      'grant-signing-key': grantSigningKey
      'zep-api-key': zepApiKey
    }, auditEnabled ? {
      'audit-url': 'postgresql://${databaseUser}@${databaseServer}/audit?sslmode=require'
      'audit-key': auditKey
    } : {})
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

// What both apps read. Limits are on everywhere: a broker that lets everybody in is on the internet too.
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
}
var sharedVaultSettings = union({
  LIMITS_URL: 'limits-url'
}, auditEnabled ? {
  AUDIT_KEY: 'audit-key'
  AUDIT_URL: 'audit-url'
} : {})

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
    })
    vaultSettings: union(sharedVaultSettings, {
      GRANT_SIGNING_KEY: 'grant-signing-key'
    })
  }
  dependsOn: [
    voice
    links
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
    outboxReference: 'database-url'
    settings: union(sharedSettings, {
      MEMORY_BACKEND: memoryBackend
      ZEP_API_URL: zepUrl
      GRANT_JWKS_URL: jwksUrl
      DATA_RETENTION_DAYS: string(retentionDays)
    })
    vaultSettings: union(sharedVaultSettings, {
      DATABASE_URL: 'database-url'
      ZEP_API_KEY: 'zep-api-key'
    })
  }
  dependsOn: [
    links
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
