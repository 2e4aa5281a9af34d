// One voice domain: an account with a realtime and a transcription deployment, which the broker may call.
// Its public address stays open in every environment: callers' browsers post their SDP to it themselves,
// with a token that ends in a minute. Keys are switched off, so nothing else gets in.
param location string
param name string
param thousandTokensPerMinute int
param realtimeModel string
param transcriptionModel string
param callerId string

var openAiUser = '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd'

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' = {
  name: name
  location: location
  kind: 'AIServices'
  sku: {
    name: 'S0'
  }
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
  }
}

resource realtime 'Microsoft.CognitiveServices/accounts/deployments@2025-06-01' = {
  parent: account
  name: realtimeModel
  sku: {
    name: 'GlobalStandard'
    capacity: thousandTokensPerMinute
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: 'gpt-realtime'
      version: '2025-08-28'
    }
    versionUpgradeOption: 'NoAutoUpgrade'
  }
}

// After the other: an account takes one deployment at a time.
resource transcription 'Microsoft.CognitiveServices/accounts/deployments@2025-06-01' = {
  parent: account
  name: transcriptionModel
  sku: {
    name: 'GlobalStandard'
    capacity: thousandTokensPerMinute
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: 'gpt-4o-mini-transcribe'
      version: '2025-12-15'
    }
    versionUpgradeOption: 'NoAutoUpgrade'
  }
  dependsOn: [
    realtime
  ]
}

resource caller 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, callerId, openAiUser)
  scope: account
  properties: {
    principalId: callerId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', openAiUser)
  }
}
