// One of the two apps. Its settings are environment variables; secret ones are references into the vault.
param location string
param name string

@description('The Python package that is started.')
param package string
param image string
param registryServer string
param spaceId string
param identityId string
param vaultUri string

@description('The one origin whose pages may call.')
param origin string
param cpu string
param memory string
param minReplicas int
param maxReplicas int

@description('Secret with the address of the outbox, whose depth then scales the app; empty for no outbox.')
param outboxReference string

@description('Environment variable to value.')
param settings object

@description('Environment variable to the name of its secret in the vault.')
param vaultSettings object

var port = 8080
var byRequests = [
  {
    name: 'requests'
    http: {
      metadata: {
        concurrentRequests: '50'
      }
    }
  }
]
// Delivery works on sessions, one at a time each; as long as one is due, a replica is kept to deliver it.
// https://github.com/kedacore/keda/blob/main/pkg/scalers/postgresql_scaler.go (checked 2026-11-20)
var byDepth = [
  {
    name: 'outbox'
    custom: {
      type: 'postgresql'
      metadata: {
        query: 'SELECT count(*) FROM outbox_session WHERE due_at IS NOT NULL'
        targetQueryValue: '200'
      }
      auth: [
        {
          secretRef: outboxReference
          triggerParameter: 'connection'
        }
      ]
    }
  }
]
var plainVariables = map(items(settings), setting => {
  name: setting.key
  value: setting.value
})
var secretVariables = map(items(vaultSettings), setting => {
  name: setting.key
  secretRef: setting.value
})

resource app 'Microsoft.App/containerApps@2024-03-01' = {
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
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: port
        transport: 'http'
        allowInsecure: false
        corsPolicy: {
          allowedOrigins: [
            origin
          ]
          allowedMethods: [
            'GET'
            'POST'
            'DELETE'
          ]
          allowedHeaders: [
            'Authorization'
            'Content-Type'
            'traceparent'
          ]
          exposeHeaders: [
            'Retry-After'
            'X-Trace-Id'
          ]
          allowCredentials: false
          maxAge: 600
        }
      }
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
      // Several settings may be one secret, which must be listed once.
      secrets: map(union(map(items(vaultSettings), setting => setting.value), []), secret => {
        name: secret
        keyVaultUrl: '${vaultUri}secrets/${secret}'
        identity: identityId
      })
    }
    template: {
      // DRAIN_S, then 10 s for what is being answered, then what waits for the disk.
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: package
          image: image
          command: [
            'python'
            '-m'
            package
            'serve'
            '--host'
            '0.0.0.0'
            '--port'
            string(port)
          ]
          env: concat(plainVariables, secretVariables)
          resources: {
            cpu: json(cpu)
            memory: memory
          }
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/health'
                port: port
              }
              periodSeconds: 2
              failureThreshold: 10
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/health'
                port: port
              }
              periodSeconds: 10
              timeoutSeconds: 5
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/ready'
                port: port
              }
              periodSeconds: 5
              timeoutSeconds: 3
            }
          ]
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: empty(outboxReference) ? byRequests : concat(byRequests, byDepth)
      }
    }
  }
}

// The app proves itself who calls. A platform in front that answers 401 would look like it and is not.
resource noPlatformSignIn 'Microsoft.App/containerApps/authConfigs@2024-03-01' = {
  parent: app
  name: 'current'
  properties: {
    platform: {
      enabled: false
    }
    globalValidation: {
      unauthenticatedClientAction: 'AllowAnonymous'
    }
  }
}

// Asks every way to mint once, as the broker would: with its image, identity and settings. Somebody starts it.
resource probe 'Microsoft.App/jobs@2024-03-01' = if (package == 'broker') {
  name: '${name}-probe'
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
      replicaTimeout: 300
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
      secrets: map(union(map(items(vaultSettings), setting => setting.value), []), secret => {
        name: secret
        keyVaultUrl: '${vaultUri}secrets/${secret}'
        identity: identityId
      })
    }
    template: {
      containers: [
        {
          name: 'probe'
          image: image
          command: [
            'python'
            '-m'
            package
            'probe'
            '--json'
          ]
          env: concat(plainVariables, secretVariables)
          resources: {
            cpu: json('0.25')
            memory: '0.5Gi'
          }
        }
      ]
    }
  }
}
