#!/usr/bin/env -S python3 -IS
"""``output.py NAME``: prints an output of the deployment, nothing when it has no such output.

Azure changes the case of names in capitals: AZURE_X comes back as azurE_X.
https://github.com/Azure/bicep/issues/9360 (checked 2026-11-20)
"""

import json
import os
import sys
from pathlib import Path

outputs = json.loads((Path(os.environ["RUNNER_TEMP"]) / "outputs.json").read_text())
values = {name.lower(): output["value"] for name, output in outputs.items()}
print(values.get(sys.argv[1].lower(), ""))
