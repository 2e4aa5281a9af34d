#!/usr/bin/env bash
# asked.sh FILE: prints the variables that a parameter file cannot do without.
set -euo pipefail
grep -oE "readEnvironmentVariable\('[A-Z_]+'\)" "$1" | cut -d "'" -f 2 | sort -u
