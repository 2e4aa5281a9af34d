// Whom to tell, and of what. Every query answers with one number `v`; more than `above` raises the alert.
// Tables: AppRequests and AppMetrics are filled by the apps' telemetry, the console log by the platform.
param location string
param namePrefix string
param workspaceId string
param email string
param securityEmail string

@description('Takes the common alert schema, as the Azure integration of PagerDuty does.')
@secure()
param pagerDutyUrl string

@description('Takes the common alert schema: a Logic App in front, for an incoming webhook of Slack does not.')
@secure()
param slackUrl string

var pagerDuty = empty(pagerDutyUrl) ? [] : [
  {
    name: 'pagerduty'
    serviceUri: pagerDutyUrl
    useCommonAlertSchema: true
  }
]
var slack = empty(slackUrl) ? [] : [
  {
    name: 'slack'
    serviceUri: slackUrl
    useCommonAlertSchema: true
  }
]
var mail = empty(email) ? [] : [
  {
    name: 'mail'
    emailAddress: email
    useCommonAlertSchema: true
  }
]
var securityMail = empty(securityEmail) ? [] : [
  {
    name: 'security'
    emailAddress: securityEmail
    useCommonAlertSchema: true
  }
]

resource onCall 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${namePrefix}-env-on-call'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: 'on-call'
    webhookReceivers: concat(pagerDuty, slack)
  }
}

resource team 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${namePrefix}-env-team'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: 'team'
    webhookReceivers: slack
  }
}

resource readers 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${namePrefix}-env-readers'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: 'readers'
    emailReceivers: mail
  }
}

resource security 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${namePrefix}-env-security'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: 'security'
    webhookReceivers: pagerDuty
    emailReceivers: securityMail
  }
}

var rules = [
  {
    name: 'voice-error-rate'
    about: 'More than 5 % of the requests for a token fail.'
    severity: 1
    window: 'PT5M'
    every: 'PT1M'
    above: 5
    group: onCall.id
    query: '''
AppRequests | where Name has "realtime/token"
| summarize t = count(), b = countif(toint(ResultCode) >= 500) | where t >= 20 | extend v = 100.0 * b / t
'''
  }
  {
    name: 'latency'
    about: 'The slowest twentieth of answers to a token or a chat takes more than 3 s.'
    severity: 2
    window: 'PT15M'
    every: 'PT5M'
    above: 3000
    group: team.id
    query: '''
AppRequests | where Name has_any ("chat", "realtime/token") | summarize v = percentile(DurationMs, 95) by Name
'''
  }
  {
    name: 'active-sessions'
    about: 'More than 100 conversations at a time.'
    severity: 3
    window: 'PT5M'
    every: 'PT5M'
    above: 100
    group: readers.id
    query: '''
AppMetrics | where Name == "engram.sessions.active"
| summarize v = max(Max) by AppRoleInstance | summarize v = sum(v)
'''
  }
  {
    name: 'sign-in-failures'
    about: 'More than 10 failed sign-ins in a minute.'
    severity: 1
    window: 'PT5M'
    every: 'PT1M'
    above: 10
    group: security.id
    query: '''
AppMetrics | where Name == "engram.auth.failures" | summarize v = sum(Sum) by bin(TimeGenerated, 1m)
'''
  }
  {
    name: 'budget-fast'
    about: 'Tokens fail 14.4 times faster than 99.9 % allows, for an hour and still.'
    severity: 1
    window: 'PT1H'
    every: 'PT5M'
    above: 0
    group: onCall.id
    query: '''
AppRequests | where Name has "realtime/token" | extend bad = toint(ResultCode) >= 500
| summarize t = count(), b = countif(bad), now = countif(TimeGenerated > ago(5m)),
  badNow = countif(bad and TimeGenerated > ago(5m))
| where b >= 5 and now > 0 | extend v = toint(b > 0.0144 * t and badNow > 0.0144 * now)
'''
  }
  {
    name: 'budget-slow'
    about: 'Tokens fail 6 times faster than 99.9 % allows, for six hours and still.'
    severity: 2
    window: 'PT6H'
    every: 'PT15M'
    above: 0
    group: onCall.id
    query: '''
AppRequests | where Name has "realtime/token" | extend bad = toint(ResultCode) >= 500
| summarize t = count(), b = countif(bad), now = countif(TimeGenerated > ago(30m)),
  badNow = countif(bad and TimeGenerated > ago(30m))
| where b >= 5 and now > 0 | extend v = toint(b > 0.006 * t and badNow > 0.006 * now)
'''
  }
  {
    name: 'outbox-age'
    about: 'A turn has waited for memory for more than 5 minutes.'
    severity: 2
    window: 'PT5M'
    every: 'PT5M'
    above: 300
    group: team.id
    query: '''
AppMetrics | where Name == "engram.outbox.oldest_age" | summarize v = max(Max)
'''
  }
  {
    name: 'nothing-mints'
    about: 'Every way to mint is held back.'
    severity: 1
    window: 'PT5M'
    every: 'PT1M'
    above: 1
    group: onCall.id
    query: '''
AppMetrics | where Name == "engram.mint.breaker.state" | summarize v = min(Max)
'''
  }
  {
    name: 'turn-parked'
    about: 'Memory refused a turn for good; an operator must look.'
    severity: 2
    window: 'PT5M'
    every: 'PT5M'
    above: 0
    group: team.id
    query: '''
ContainerAppConsoleLogs_CL | where tostring(parse_json(Log_s).event) == "turn.parked" | summarize v = count()
'''
  }
  {
    name: 'audit-unwritten'
    about: 'What must be on record could not be written.'
    severity: 1
    window: 'PT5M'
    every: 'PT1M'
    above: 0
    group: security.id
    query: '''
ContainerAppConsoleLogs_CL
| where tostring(parse_json(Log_s).event) in ("audit.failed", "audit.broke") | summarize v = count()
'''
  }
  {
    name: 'key-allowed'
    about: 'A broker started that may mint with a key in place of its identity.'
    severity: 2
    window: 'PT5M'
    every: 'PT5M'
    above: 0
    group: security.id
    query: '''
ContainerAppConsoleLogs_CL | where tostring(parse_json(Log_s).event) == "key.allowed" | summarize v = count()
'''
  }
  {
    name: 'keys-unreadable'
    about: 'The keys of those who sign could not be fetched again and again; after a day nobody gets in.'
    severity: 2
    window: 'PT6H'
    every: 'PT15M'
    above: 20
    group: team.id
    query: '''
ContainerAppConsoleLogs_CL | where tostring(parse_json(Log_s).event) == "keys.unreadable" | summarize v = count()
'''
  }
]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = [for rule in rules: {
  name: '${namePrefix}-env-${rule.name}'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: rule.name
    description: rule.about
    enabled: true
    severity: rule.severity
    scopes: [
      workspaceId
    ]
    windowSize: rule.window
    evaluationFrequency: rule.every
    // The table of the console log is made by its first line, after this.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'v'
          operator: 'GreaterThan'
          threshold: rule.above
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        rule.group
      ]
    }
  }
}]
