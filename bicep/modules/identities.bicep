// Who each app is, towards Azure: one identity each, so that neither can do what only the other needs; and one
// for the job that makes the users of the database.
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

resource users 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${namePrefix}-env-users'
  location: location
}

output brokerId string = broker.id
output brokerClientId string = broker.properties.clientId
output brokerPrincipalId string = broker.properties.principalId
output enrichmentId string = enrichment.id
output enrichmentClientId string = enrichment.properties.clientId
output enrichmentPrincipalId string = enrichment.properties.principalId
output usersId string = users.id
output usersPrincipalId string = users.properties.principalId
