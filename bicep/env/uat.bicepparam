// People of the business try it with anonymised data. Sized as test; in two regions, as production.
using '../main.bicep'

param environment = 'uat'
param namePrefix = 'uat'
param location = 'eastus2'

param image = readEnvironmentVariable('IMAGE')
param registryName = readEnvironmentVariable('REGISTRY_NAME')

param cpu = '0.5'
param memory = '1Gi'
param minReplicas = 1
param maxReplicas = 5
param zoneRedundant = false
param privateLink = false

param voiceDomains = [
  {
    region: 'eastus2'
    thousandTokensPerMinute: 50
  }
  {
    region: 'swedencentral'
    thousandTokensPerMinute: 50
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
param retentionDays = 90
param logRetentionDays = 30
param logLevel = 'INFO'
param tracesRatio = '1'
param anchorDays = 90
param anchorsLocked = false

param databaseTier = 'Burstable'
param databaseSku = 'Standard_B2s'
param databaseGeoBackup = false
param vaultSku = 'standard'
param pageSku = 'Standard'

param memoryBackend = 'zep'
param zepUrl = readEnvironmentVariable('ZEP_API_URL')

param alerts = true
param alertEmail = readEnvironmentVariable('ALERT_EMAIL')
param securityEmail = readEnvironmentVariable('SECURITY_EMAIL')
param pagerDutyUrl = readEnvironmentVariable('PAGERDUTY_URL')
param slackUrl = readEnvironmentVariable('SLACK_URL')

param databasePassword = readEnvironmentVariable('DATABASE_PASSWORD')
param brokerDatabasePassword = readEnvironmentVariable('BROKER_DATABASE_PASSWORD')
param enrichmentDatabasePassword = readEnvironmentVariable('ENRICHMENT_DATABASE_PASSWORD')
param metricsToken = readEnvironmentVariable('METRICS_TOKEN')
param grantSigningKey = readEnvironmentVariable('GRANT_SIGNING_KEY')
param grantOtherKeys = readEnvironmentVariable('GRANT_OTHER_KEYS', '')
param zepApiKey = readEnvironmentVariable('ZEP_API_KEY')
param auditKey = readEnvironmentVariable('AUDIT_KEY')
