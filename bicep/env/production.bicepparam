// Customers. Zones, private links, geo-redundant backups, two regions of voice.
using '../main.bicep'

param environment = 'production'
param namePrefix = 'prod'
param location = 'eastus2'

param image = readEnvironmentVariable('IMAGE')
param registryName = readEnvironmentVariable('REGISTRY_NAME')

param cpu = '1'
param memory = '2Gi'
param minReplicas = 1
param maxReplicas = 10
param zoneRedundant = true
param privateLink = true

param voiceDomains = [
  {
    region: 'eastus2'
    thousandTokensPerMinute: 100
  }
  {
    region: 'swedencentral'
    thousandTokensPerMinute: 100
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
param logRetentionDays = 90
param logLevel = 'WARNING'
param tracesRatio = '0.1'
param anchorDays = 365
param anchorsLocked = false

param databaseTier = 'GeneralPurpose'
param databaseSku = 'Standard_D2ds_v5'
param databaseGeoBackup = true
param vaultSku = 'premium'
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
