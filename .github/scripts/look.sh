#!/usr/bin/env bash
# Whether the page that is published is the one that was put together: it may talk to this broker, and finds it.
set -euo pipefail
here=$(dirname "$0")
page=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])[0])' "$("$here/output.py" CORS_ORIGINS)")
broker=$("$here/output.py" brokerUrl)
for ((tries = ${TRIES:-60}; tries > 0; tries--)); do
  answer=$(curl --silent --show-error --max-time 10 --include "$page/" || true)
  if grep -qi "^content-security-policy:.*$broker" <<<"$answer" && grep -q "name=\"broker\" content=\"$broker\"" <<<"$answer"; then
    exit 0
  fi
  sleep "${PAUSE_S:-10}"
done
echo "::error::$page does not show the page that was published"
exit 1
