// Who each app is, towards Azure: one identity each, so that neither can do what only the other needs.
param location string
param namePrefix string

resource broker 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${namePrefix}-env-broker'
  location: location
}

resource enrichment 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${namePrefix}-env-enrichment'
  location: location
}

output brokerId string = broker.id
output brokerClientId string = broker.properties.clientId
output brokerPrincipalId string = broker.properties.principalId
output enrichmentId string = enrichment.id
output enrichmentPrincipalId string = enrichment.properties.principalId
