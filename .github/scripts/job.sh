#!/usr/bin/env bash
# job.sh NAME CONTAINER: runs a job of Container Apps and waits until it ends; fails when it does, with what it said.
set -euo pipefail
execution=$(az containerapp job start --resource-group "$RESOURCE_GROUP" --name "$1" --query name --output tsv)
status=Running
for ((tries = ${TRIES:-60}; tries > 0; tries--)); do
  status=$(az containerapp job execution show --resource-group "$RESOURCE_GROUP" --name "$1" \
    --job-execution-name "$execution" --query properties.status --output tsv)
  case $status in
    Succeeded) exit 0 ;;
    Failed | Stopped | Degraded) break ;;
  esac
  sleep "${PAUSE_S:-10}"
done
echo "::error::$1 is $status"
# The logs are as late as they are; that there are none must not hide that the job failed.
az containerapp job logs show --resource-group "$RESOURCE_GROUP" --name "$1" --execution "$execution" \
  --container "$2" --tail 100 || true
exit 1
