// Where the audits' anchors are put: a container for each app, to which it may add; for some days nobody can
// change or delete what is in it, its owner neither once the policy is locked.
param location string

@minLength(3)
@maxLength(24)
param name string
param sku string
param isPublic bool
param days int

@description('True once somebody has locked the policies: a locked one takes nothing but being extended.')
param isLocked bool

@description('Each container, and the identity that adds to it.')
param writers array

var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPublic ? 'Enabled' : 'Disabled'
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = [for writer in writers: {
  parent: blobs
  name: writer.container
  properties: {
    publicAccess: 'None'
  }
}]

resource kept 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2023-05-01' = [for (writer, index) in (isLocked ? [] : writers): {
  parent: containers[index]
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: days
    allowProtectedAppendWrites: true
  }
}]

resource adds 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (writer, index) in writers: {
  name: guid(containers[index].id, writer.principalId, blobDataContributor)
  scope: containers[index]
  properties: {
    principalId: writer.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
  }
}]

output id string = account.id
output url string = account.properties.primaryEndpoints.blob
