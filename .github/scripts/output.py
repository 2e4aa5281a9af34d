#!/usr/bin/env -S python3 -IS
"""``output.py NAME``: prints an output of the deployment, nothing when it has no such output."""

import json
import os
import sys
from pathlib import Path

outputs = json.loads((Path(os.environ["RUNNER_TEMP"]) / "outputs.json").read_text())
print(outputs.get(sys.argv[1], {}).get("value", ""))
