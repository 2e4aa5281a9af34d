#!/usr/bin/env bash
# Deploys, and keeps the outputs for the steps after it. A secret that GitHub does not have is an empty variable,
# which Bicep would take; here it stops the deployment before it begins.
set -euo pipefail
here=$(dirname "$0")
file="bicep/env/$ENVIRONMENT.bicepparam"
missing=()
for name in $("$here/asked.sh" "$file"); do
  [ -n "${!name:-}" ] || missing+=("$name")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "::error::the GitHub environment $ENVIRONMENT lacks ${missing[*]}"
  exit 1
fi
deploy() {
  az deployment group create --resource-group "$RESOURCE_GROUP" --name voicelive \
    --parameters "$file" --query properties.outputs --output json >"$RUNNER_TEMP/outputs.json"
}
# Makes the users of the databases, without whom enrichment does not start.
make_users() { [ -z "$1" ] || "$here/job.sh" "$1" users; }

if deploy; then
  make_users "$("$here/output.py" usersName)"
  exit
fi
# Where nothing has served yet there are no users yet, and Azure may call a deployment failed whose app does not start.
# The job is there by then: it makes them, and the deployment is asked for once more.
if cut -f 2 "$RUNNER_TEMP/before.tsv" | grep -qvE '^(None)?$'; then exit 1; fi
users=$(az containerapp job list --resource-group "$RESOURCE_GROUP" --query "[?ends_with(name, '-env-users')].name" --output tsv)
[ -n "$users" ] || exit 1
make_users "$users"
deploy
