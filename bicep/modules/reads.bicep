// Lets one identity read some secrets of the vault, and no other: a role for each secret, not for the vault.
// https://learn.microsoft.com/azure/key-vault/general/rbac-guide has roles for single secrets where several
// applications share a vault (checked 2026-11-20).
param vaultName string
param secretNames array
param readerId string

var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

resource contents 'Microsoft.KeyVault/vaults/secrets@2023-07-01' existing = [for secretName in secretNames: {
  parent: vault
  name: secretName
}]

resource reads 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (secretName, index) in secretNames: {
  name: guid(vault.id, secretName, readerId, secretsUser)
  scope: contents[index]
  properties: {
    principalId: readerId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}]
