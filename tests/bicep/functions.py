"""The functions of Bicep that the files use. What Azure alone can know is made up, and always the same.

https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions (checked 2026-11-20)
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/voice"
MODULES = Path(__file__).parent.parent.parent / "bicep/modules"  # the files that load texts are there
TENANT = "99999999-8888-7777-6666-555555555555"


def resource_id(type_: str, *names: str) -> str:
    space, *kinds = type_.split("/")
    return f"{GROUP}/providers/{space}/" + "/".join(
        f"{kind}/{name}" for kind, name in zip(kinds, names, strict=True)
    )


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)  # "True", as Azure has it
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def union(*given: Any) -> Any:
    if isinstance(given[0], dict):
        return {key: value for each in given for key, value in each.items()}
    return list(dict.fromkeys(value for each in given for value in each))


def items(of: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": of[key]} for key in sorted(of)]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concat": lambda *given: [value for each in given for value in each],
    "empty": lambda value: not value,
    "guid": lambda *given: str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(given))),
    "items": items,
    "json": json.loads,
    "loadTextContent": lambda path: (MODULES / path).read_text(),
    "map": lambda over, each: [each(value) for value in over],
    "resourceGroup": lambda: {"id": GROUP, "name": "voice", "location": "eastus2"},
    "resourceId": resource_id,
    "skip": lambda value, count: value[count:],
    "string": as_text,
    "subscription": lambda: {"tenantId": TENANT, "id": GROUP.split("/resourceGroups", maxsplit=1)[0]},
    "subscriptionResourceId": lambda type_, name: (
        f"{GROUP.split('/resourceGroups', maxsplit=1)[0]}/providers/{type_}/{name}"
    ),
    "take": lambda value, count: value[:count],
    "union": union,
    "uniqueString": lambda *given: hashlib.sha256("/".join(given).encode()).hexdigest()[:13],
    "uriComponent": lambda text: quote(text, safe="-_.!~*'()"),
}
IN_PARAMETERS = "readEnvironmentVariable"
# No functions, but what stands before a declaration or is called on a resource.
DECORATORS = frozenset(
    ["allowed", "batchSize", "description", "maxLength", "maxValue", "minLength", "minValue", "secure"]
)
METHODS = frozenset(["listKeys"])
