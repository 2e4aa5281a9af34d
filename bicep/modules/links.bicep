// A private endpoint for everything that the apps call in Azure, and its names in the network.
param location string
param namePrefix string
param subnetId string
param vaultId string
param databaseId string

@description('The account of the anchors; empty for none.')
param anchorsId string
param voiceNames array
param zoneIds object

module vault 'endpoint.bicep' = {
  name: 'link-vault'
  params: {
    location: location
    name: '${namePrefix}-link-vault'
    subnetId: subnetId
    targetId: vaultId
    groupId: 'vault'
    zoneIds: [
      zoneIds.vault
    ]
  }
}

module database 'endpoint.bicep' = {
  name: 'link-database'
  params: {
    location: location
    name: '${namePrefix}-link-database'
    subnetId: subnetId
    targetId: databaseId
    groupId: 'postgresqlServer'
    zoneIds: [
      zoneIds.database
    ]
  }
}

module anchors 'endpoint.bicep' = if (!empty(anchorsId)) {
  name: 'link-anchors'
  params: {
    location: location
    name: '${namePrefix}-link-anchors'
    subnetId: subnetId
    targetId: anchorsId
    groupId: 'blob'
    zoneIds: [
      zoneIds.blobs
    ]
  }
}

module voice 'endpoint.bicep' = [for voiceName in voiceNames: {
  name: 'link-${voiceName}'
  params: {
    location: location
    name: '${namePrefix}-link-${voiceName}'
    subnetId: subnetId
    targetId: resourceId('Microsoft.CognitiveServices/accounts', voiceName)
    groupId: 'account'
    zoneIds: [
      zoneIds.cognitiveServices
      zoneIds.openAi
      zoneIds.aiServices
    ]
  }
}]
