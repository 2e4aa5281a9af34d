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
az deployment group create --resource-group "$RESOURCE_GROUP" --name voicelive \
  --parameters "$file" --query properties.outputs --output json >"$RUNNER_TEMP/outputs.json"
users=$("$here/output.py" usersName)
[ -z "$users" ] || "$here/job.sh" "$users" users # makes the users of the databases, without whom no app is ready
