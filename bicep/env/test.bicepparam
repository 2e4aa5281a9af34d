// For pipelines, which sign in as service principals; what they said is forgotten after a day.
using '../main.bicep'

param environment = 'test'
param namePrefix = 'test'
param location = 'eastus2'

param image = readEnvironmentVariable('IMAGE')
param registryName = readEnvironmentVariable('REGISTRY_NAME')

param cpu = '0.5'
param memory = '1Gi'
param minReplicas = 0
param maxReplicas = 2
param zoneRedundant = false
param privateLink = false

param voiceDomains = [
  {
    region: 'eastus2'
    thousandTokensPerMinute: 20
  }
]

param authRequired = true
param devTokens = false
param entraTenants = [
  readEnvironmentVariable('ENTRA_TENANT')
]
param entraAudiences = [
  readEnvironmentVariable('ENTRA_AUDIENCE')
]

param auditEnabled = true
param retentionDays = 1
param logRetentionDays = 30
param logLevel = 'INFO'
param tracesRatio = '1'
param anchorDays = 1
param anchorsLocked = false

param databaseTier = 'Burstable'
param databaseSku = 'Standard_B2s'
param databaseGeoBackup = false
param vaultSku = 'standard'
param pageSku = 'Free'

param memoryBackend = 'zep'
param zepUrl = readEnvironmentVariable('ZEP_API_URL')

param alerts = false

param databasePassword = readEnvironmentVariable('DATABASE_PASSWORD')
param brokerDatabasePassword = readEnvironmentVariable('BROKER_DATABASE_PASSWORD')
param enrichmentDatabasePassword = readEnvironmentVariable('ENRICHMENT_DATABASE_PASSWORD')
param metricsToken = readEnvironmentVariable('METRICS_TOKEN')
param grantSigningKey = readEnvironmentVariable('GRANT_SIGNING_KEY')
param grantOtherKeys = readEnvironmentVariable('GRANT_OTHER_KEYS', '')
param zepApiKey = readEnvironmentVariable('ZEP_API_KEY')
param auditKey = readEnvironmentVariable('AUDIT_KEY')
