// A job that makes a database and a user for each app, when somebody starts it: Bicep can make neither user.
// It runs beside the apps, from where the database can be reached, with the image that they have.
param location string
param name string
param image string
param registryServer string
param spaceId string
param identityId string
param vaultUri string

@description('Environment variable to the name of its secret in the vault.')
param vaultSettings object

resource job 'Microsoft.App/jobs@2024-03-01' = {
  name: name
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: spaceId
    workloadProfileName: 'Consumption'
    configuration: {
      triggerType: 'Manual'
      replicaTimeout: 120
      replicaRetryLimit: 0
      manualTriggerConfig: {
        parallelism: 1
        replicaCompletionCount: 1
      }
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
      secrets: map(items(vaultSettings), setting => {
        name: setting.value
        keyVaultUrl: '${vaultUri}secrets/${setting.value}'
        identity: identityId
      })
    }
    template: {
      containers: [
        {
          name: 'users'
          image: image
          command: [
            'python'
            '-c'
            loadTextContent('../users.py')
          ]
          env: map(items(vaultSettings), setting => {
            name: setting.key
            secretRef: setting.value
          })
          resources: {
            cpu: json('0.25')
            memory: '0.5Gi'
          }
        }
      ]
    }
  }
}
