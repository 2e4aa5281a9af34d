#!/usr/bin/env bash
# Writes what a deployment would change into the summary of the run. Before approval nothing secret is known:
# secrets are made up here, and what-if shows none of them anyway.
set -euo pipefail
file="bicep/env/$ENVIRONMENT.bicepparam"
for name in $("$(dirname "$0")/asked.sh" "$file"); do
  [ -n "${!name:-}" ] || export "$name=https://Known-1.invalid"
done
plan="$RUNNER_TEMP/plan.txt"
# Reading is enough for it: https://learn.microsoft.com/azure/azure-resource-manager/bicep/deploy-what-if
AZURE_CORE_NO_COLOR=true az deployment group what-if --resource-group "$RESOURCE_GROUP" --parameters "$file" \
  --validation-level ProviderNoRbac >"$plan"
cat "$plan"
{
  echo "## $ENVIRONMENT would change so"
  echo '```'
  head -c 900000 "$plan"  # a summary holds 1 MiB
  echo '```'
} >>"$GITHUB_STEP_SUMMARY"
