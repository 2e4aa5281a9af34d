#!/usr/bin/env bash
# ready.sh APP: waits until the newest revision is the one that serves. Until then the one before it does.
set -euo pipefail
for ((tries = ${TRIES:-60}; tries > 0; tries--)); do
  same=$(az containerapp show --resource-group "$RESOURCE_GROUP" --name "$1" --output json \
    --query 'properties.latestRevisionName == properties.latestReadyRevisionName')
  [ "$same" != true ] || exit 0
  sleep "${PAUSE_S:-10}"
done
echo "::error::the newest revision of $1 never became ready"
exit 1
