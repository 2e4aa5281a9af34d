#!/usr/bin/env bash
# Builds the image and pushes it; gives its name with its digest to the steps after it. --local builds it only.
# The base is named by the digest that its tag has now; what it was made of goes beside it as SBOM and provenance.
set -euo pipefail
tag=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile | head -n 1)
docker buildx create --use --driver docker-container >/dev/null
base=$(docker buildx imagetools inspect "$tag" --format '{{.Manifest.Digest}}')
options=(--platform linux/amd64 --build-arg "PYTHON_IMAGE=$tag@$base" --build-arg "REVISION=$GITHUB_SHA"
  --build-arg "SOURCE=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY")
if [ "${1:-}" = --local ]; then
  exec docker buildx build "${options[@]}" --load --tag "voicelive:$GITHUB_SHA" .
fi
az acr login --name "$REGISTRY_NAME" >/dev/null
name="$REGISTRY_NAME.azurecr.io/voicelive"
docker buildx build "${options[@]}" --push --sbom=true --provenance=mode=max \
  --tag "$name:$GITHUB_SHA" --metadata-file "$RUNNER_TEMP/image.json" .
digest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["containerimage.digest"])' "$RUNNER_TEMP/image.json")
echo "image=$name@$digest" >>"$GITHUB_OUTPUT"
echo "\`$name@$digest\` on \`$tag@$base\`" >>"$GITHUB_STEP_SUMMARY"
