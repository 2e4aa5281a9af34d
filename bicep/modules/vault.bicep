// The vault and what is in it. Values come in as secure parameters and are never put out; who reads which of
// them is in reads.bicep.
param location string
param name string
param sku string
param isPublic bool

@secure()
param secrets object

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: sku
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    publicNetworkAccess: isPublic ? 'Enabled' : 'Disabled'
  }
}

resource contents 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = [for secret in items(secrets): {
  parent: vault
  name: secret.key
  properties: {
    value: secret.value
  }
}]

output id string = vault.id
output name string = vault.name
output uri string = vault.properties.vaultUri
