#!/usr/bin/env bash
# Makes each app what it was before the deployment. The apps are in single revision mode, where no old revision can be
# given traffic: a copy of it is the next one, with its image, variables and scale. Ends with 1 when one app stays new.
# What it does not undo: the vault, the databases, and all else that Bicep made.
set -euo pipefail
here=$(dirname "$0")
failed=0
while IFS=$'\t' read -r app revision; do
  if [ -z "$revision" ] || [ "$revision" = None ]; then
    echo "::warning::$app had no good revision before; it stays as it is"
    continue
  fi
  latest=$(az containerapp show --resource-group "$RESOURCE_GROUP" --name "$app" \
    --query properties.latestRevisionName --output tsv </dev/null)
  if [ "$latest" = "$revision" ]; then
    echo "$app is still $revision"
    continue
  fi
  echo "$app goes back to $revision"
  # Standard input is the list of this loop, and not theirs.
  if ! { az containerapp revision copy --resource-group "$RESOURCE_GROUP" --name "$app" \
    --from-revision "$revision" --output none && "$here/ready.sh" "$app"; } </dev/null; then
    echo "::error::$app stays $latest"
    failed=1
  fi
done <"$RUNNER_TEMP/before.tsv"
exit "$failed"
