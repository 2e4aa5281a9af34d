"""One Azure resource and the hosts it is reached by."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from broker.minting.credentials import Credential


class Host(StrEnum):
    """The hosts of one resource, by the exact suffix of their names.

    Source: https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle (checked 2026-11-20).
    """

    OPENAI = ".openai.azure.com"
    SERVICES = ".services.ai.azure.com"
    COGNITIVE = ".cognitiveservices.azure.com"


# Azure in other clouds lists no realtime model (government model list of 2026-04-03).
WITHOUT_REALTIME = (".azure.us", ".azure.cn")


@dataclass(frozen=True, slots=True)
class Domain:
    """One resource: a region and a quota. ``model`` is the deployment's name there; it may differ per domain.

    ``project`` is the name of an Azure AI project, when tokens may be asked of it too.
    """

    name: str
    endpoint: str
    model: str
    credentials: tuple[Credential, ...] = field(default=(), hash=False)
    project: str | None = None

    def endpoint_of(self, host: Host) -> str:
        """The resource's address on that host; a custom host (a gateway, a simulator) is used as it is."""
        parts = urlsplit(self.endpoint)
        known = known_host(parts.hostname or "")
        if known is None:
            return self.endpoint
        return f"https://{(parts.hostname or '').removesuffix(known)}{host}"


def known_host(hostname: str) -> Host | None:
    """Which of Azure's hosts a name is: one label and the exact suffix; None for any other name."""
    for host in Host:
        label = hostname.removesuffix(host)
        if label != hostname and label and "." not in label:
            return host
    return None


def looks_like_azure(hostname: str) -> bool:
    """A name that holds one of Azure's but is not one: a trap, or a typing error. It gets no key of ours."""
    return known_host(hostname) is None and any(host.strip(".") in hostname for host in Host)
