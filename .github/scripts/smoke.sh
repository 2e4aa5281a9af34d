#!/usr/bin/env bash
# Whether what was deployed works: both apps serve with their newest revision and say that they are ready, and the
# broker's probe mints a token. The probe must be who the broker is and stand where it stands, so it is a job with
# the broker's image, identity and settings; a pipeline's own identity would prove another one's rights.
set -euo pipefail
here=$(dirname "$0")
broker=$("$here/output.py" brokerUrl)
enrichment=$("$here/output.py" ENRICHMENT_URL)
for url in "$broker" "$enrichment"; do
  app=${url#https://}
  "$here/ready.sh" "${app%%.*}"
  curl --fail --silent --show-error --max-time 10 --retry 12 --retry-delay 5 --retry-all-errors "$url/ready"
done
app=${broker#https://}
"$here/job.sh" "${app%%.*}-probe" probe
