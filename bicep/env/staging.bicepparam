// Proof of concept: everybody is one person, nothing that matters is said.
using '../main.bicep'

param environment = 'staging'
param namePrefix = 'staging'
param location = 'eastus2'

param image = readEnvironmentVariable('IMAGE')
param registryName = readEnvironmentVariable('REGISTRY_NAME')

param cpu = '0.5'
param memory = '1Gi'
param minReplicas = 0
param maxReplicas = 3
param zoneRedundant = false
param privateLink = false

param voiceDomains = [
  {
    region: 'eastus2'
    thousandTokensPerMinute: 20
  }
]

param authRequired = false
param devTokens = false
param entraTenants = []
param entraAudiences = []

param auditEnabled = false
param retentionDays = 30
param logRetentionDays = 30
param logLevel = 'INFO'
param tracesRatio = '0'
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
