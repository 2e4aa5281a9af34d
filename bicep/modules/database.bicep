// PostgreSQL for the outbox, the audits and the limits. The database and the user of each app are made by the job
// of users.bicep: a database that the administrator makes is the administrator's to give rights in.
param location string
param name string
param tier string
param sku string
param zoneRedundant bool
param geoBackup bool
param isPublic bool

@secure()
param password string

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: name
  location: location
  sku: {
    name: sku
    tier: tier
  }
  properties: {
    version: '16'
    administratorLogin: 'voicelive'
    administratorLoginPassword: password
    storage: {
      storageSizeGB: 32
      autoGrow: 'Enabled'
    }
    backup: {
      backupRetentionDays: 7
      geoRedundantBackup: geoBackup ? 'Enabled' : 'Disabled'
    }
    highAvailability: {
      mode: zoneRedundant ? 'ZoneRedundant' : 'Disabled'
    }
    network: {
      publicNetworkAccess: isPublic ? 'Enabled' : 'Disabled'
    }
  }
}

// Without a network of its own the apps come from addresses of Azure that change: 0.0.0.0 stands for all of those.
resource fromAzure 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules@2024-08-01' = if (isPublic) {
  parent: server
  name: 'from-azure'
  properties: {
    startIpAddress: '0.0.0.0'
    endIpAddress: '0.0.0.0'
  }
}

output id string = server.id
output host string = server.properties.fullyQualifiedDomainName
