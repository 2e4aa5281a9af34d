#!/usr/bin/env bash
# Keeps which revision of each app is good now, for rollback.sh. Before a first deployment there is none.
set -euo pipefail
az containerapp list --resource-group "$RESOURCE_GROUP" \
  --query '[].[name, properties.latestReadyRevisionName]' --output tsv >"$RUNNER_TEMP/before.tsv"
cat "$RUNNER_TEMP/before.tsv"
