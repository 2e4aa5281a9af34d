#!/usr/bin/env bash
# Gives the next step what a Static Web App wants from whoever publishes to it; it is asked for, not kept anywhere.
set -euo pipefail
token=$(az staticwebapp secrets list --resource-group "$RESOURCE_GROUP" \
  --name "$("$(dirname "$0")/output.py" pageName)" --query properties.apiKey --output tsv)
echo "::add-mask::$token"
echo "token=$token" >>"$GITHUB_OUTPUT"
