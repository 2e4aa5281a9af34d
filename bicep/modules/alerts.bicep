// Whom to tell, and of what. Every query answers with one number `v`; more than `above` raises the alert.
// All of them read the apps' log, which the platform brings into the workspace: nothing else reaches Azure Monitor
// from Container Apps whole, for spans are a share. `figures` is what each process says of itself every minute.
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

var lines = 'ContainerAppConsoleLogs_CL | extend line = parse_json(Log_s) | extend event = tostring(line.event)'
var figures = '${lines} | where event == "figures"'
var ofBroker = '${figures} and tostring(line.service) == "broker"'
var ofEnrichment = '${figures} and tostring(line.service) == "enrichment"'
var sums = 'summarize t = sum(tolong(line.requests)), b = sum(tolong(line.failed))'
var nowSums = 'now = sumif(tolong(line.requests), isNow), badNow = sumif(tolong(line.failed), isNow)'
var rules = [
  {
    name: 'voice-error-rate'
    about: 'More than 5 % of the requests for a token fail.'
    severity: 1
    window: 'PT5M'
    every: 'PT1M'
    above: 5
    group: onCall.id
    query: '${ofBroker} | ${sums} | where t >= 20 | extend v = 100.0 * b / t'
  }
  {
    name: 'latency'
    about: 'The slowest twentieth of answers to a token, or to a post of turns, takes more than 3 s.'
    severity: 2
    window: 'PT15M'
    every: 'PT5M'
    above: 5
    group: team.id
    query: '${figures} | summarize t = sum(tolong(line.requests)), s = sum(tolong(line.slow)) by tostring(line.service) | where t >= 20 | extend v = 100.0 * s / t'
  }
  {
    name: 'active-sessions'
    about: 'More than 100 conversations at a time.'
    severity: 3
    window: 'PT5M'
    every: 'PT5M'
    above: 100
    group: readers.id
    query: '${ofBroker} | summarize v = max(tolong(line.active)) by tostring(line.process) | summarize v = sum(v)'
  }
  {
    name: 'sign-in-failures'
    about: 'More than 10 failed sign-ins in a minute.'
    severity: 1
    window: 'PT5M'
    every: 'PT1M'
    above: 10
    group: security.id
    query: '${figures} | summarize v = sum(tolong(line.refused)) by bin(TimeGenerated, 1m)'
  }
  {
    name: 'budget-fast'
    about: 'Tokens fail 14.4 times faster than 99.9 % allows, for an hour and still.'
    severity: 1
    window: 'PT1H'
    every: 'PT5M'
    above: 0
    group: onCall.id
    query: '${ofBroker} | extend isNow = TimeGenerated > ago(5m) | ${sums}, ${nowSums} | where b >= 5 and now > 0 | extend v = toint(b > 0.0144 * t and badNow > 0.0144 * now)'
  }
  {
    name: 'budget-slow'
    about: 'Tokens fail 6 times faster than 99.9 % allows, for six hours and still.'
    severity: 2
    window: 'PT6H'
    every: 'PT15M'
    above: 0
    group: onCall.id
    query: '${ofBroker} | extend isNow = TimeGenerated > ago(30m) | ${sums}, ${nowSums} | where b >= 5 and now > 0 | extend v = toint(b > 0.006 * t and badNow > 0.006 * now)'
  }
  {
    name: 'outbox-age'
    about: 'A turn has waited for memory for more than 5 minutes.'
    severity: 2
    window: 'PT5M'
    every: 'PT5M'
    above: 300
    group: team.id
    query: '${ofEnrichment} | summarize v = max(tolong(line.oldest_s))'
  }
  {
    name: 'outbox-away'
    about: 'The database of the outbox has not answered for minutes.'
    severity: 2
    window: 'PT10M'
    every: 'PT5M'
    above: 3
    group: team.id
    query: '${lines} | where event == "metrics.incomplete" | summarize v = count()'
  }
  {
    name: 'nothing-mints'
    about: 'Every way to mint is held back, for minutes.'
    severity: 1
    window: 'PT5M'
    every: 'PT1M'
    above: 0
    group: onCall.id
    query: '${ofBroker} | summarize ways = max(tolong(line.ways)) | extend v = toint(ways == 0)'
  }
  {
    name: 'turn-parked'
    about: 'Memory refused a turn for good; an operator must look.'
    severity: 2
    window: 'PT5M'
    every: 'PT5M'
    above: 0
    group: team.id
    query: '${ofEnrichment} | summarize v = max(tolong(line.parked))'
  }
  {
    name: 'audit-unwritten'
    about: 'What must be on record could not be written.'
    severity: 1
    window: 'PT5M'
    every: 'PT1M'
    above: 0
    group: security.id
    query: '${figures} | summarize v = sum(tolong(line.unrecorded))'
  }
  {
    name: 'audit-unanchored'
    about: 'The audit has not been anchored for minutes: nobody could tell that its end was cut off.'
    severity: 2
    window: 'PT15M'
    every: 'PT5M'
    above: 5
    group: security.id
    query: '${lines} | where event == "audit.unanchored" | summarize v = count()'
  }
  {
    name: 'key-allowed'
    about: 'A broker started that may mint with a key in place of its identity.'
    severity: 2
    window: 'PT5M'
    every: 'PT5M'
    above: 0
    group: security.id
    query: '${lines} | where event == "key.allowed" | summarize v = count()'
  }
  {
    name: 'keys-unreadable'
    about: 'The keys of those who sign could not be fetched again and again; after a day nobody gets in.'
    severity: 2
    window: 'PT6H'
    every: 'PT15M'
    above: 20
    group: team.id
    query: '${lines} | where event == "keys.unreadable" | summarize v = count()'
  }
  {
    name: 'no-figures'
    about: 'One of the apps has said nothing of itself for a quarter of an hour.'
    severity: 1
    window: 'PT15M'
    every: 'PT5M'
    above: 0
    group: onCall.id
    query: '${figures} | summarize v = 2 - dcount(tostring(line.service))'
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
