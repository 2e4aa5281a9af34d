"""Commands of the Azure CLI that the guide gives, with the options that it gives them.

Each as https://learn.microsoft.com/cli/azure lists it, or where that page was not to be had as public guides
use it (checked 2026-11-20). ``--query`` and ``--output`` are everybody's.
"""

from __future__ import annotations

EVERYBODY_S = frozenset({"--query", "--output"})
HERE = "--resource-group --name"

COMMANDS: dict[str, str] = {
    "az cognitiveservices account deployment list": HERE,
    "az cognitiveservices account list": "--resource-group",
    "az containerapp exec": f"{HERE} --command",
    "az containerapp job execution list": HERE,
    "az containerapp job start": HERE,
    "az containerapp logs show": f"{HERE} --tail",
    "az containerapp revision list": HERE,
    "az deployment group create": f"{HERE} --parameters",
    "az deployment group show": HERE,
    "az monitor log-analytics query": "--workspace --analytics-query",
    "az monitor log-analytics workspace show": "--resource-group --workspace-name",
    "az storage account list": "--resource-group",
    "az storage blob download-batch": "--account-name --source --destination --auth-mode",
    "az storage container immutability-policy lock": (
        "--resource-group --account-name --container-name --if-match"
    ),
    "az storage container immutability-policy show": "--resource-group --account-name --container-name",
}
