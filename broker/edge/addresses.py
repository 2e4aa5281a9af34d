"""Where a request comes from. A header that a client can write itself is believed nowhere."""

from __future__ import annotations

import ipaddress
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send


class Behind:
    """Puts the client's own address and scheme into the scope of a service behind trusted proxies.

    Each trusted proxy adds to ``X-Forwarded-For`` whom it was asked by, at the end. So with ``proxies`` of
    them the entry so far from the end was written by the first one, and everything before by anybody:
    https://learn.microsoft.com/azure/container-apps/ingress-overview (checked 2026-11-20).
    """

    def __init__(self, app: ASGIApp, proxies: int) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # In place: who stands around this one learns from the scope which route answered.
            scope.update(self._seen_by_the_first(Headers(scope=scope)))
        await self._app(scope, receive, send)

    def _seen_by_the_first(self, headers: Headers) -> dict[str, Any]:
        """Nothing when the header is not what as many proxies make of it."""
        hops = [hop.strip() for each in headers.getlist("x-forwarded-for") for hop in each.split(",")]
        address = _address(hops[-self._proxies]) if len(hops) >= self._proxies else None
        scheme = headers.get("x-forwarded-proto", "").rsplit(",", 1)[-1].strip()
        found: dict[str, Any] = {} if address is None else {"client": (address, 0)}
        return found | ({"scheme": scheme} if scheme in {"http", "https"} else {})


def neighbourhood(scope: Scope) -> str:
    """The network of the client's address, as an office has one: /24, or /56 of IPv6; else "unknown"."""
    host: str = (scope.get("client") or ("", 0))[0]
    if ":" not in host:  # the server's own word, or one that `Behind` has read: a name is no address
        return f"{host.rpartition('.')[0]}.0/24" if host.count(".") == 3 else "unknown"
    address = ipaddress.IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped:
        return neighbourhood({"client": (str(address.ipv4_mapped), 0)})
    return f"{ipaddress.IPv6Address(int(address) >> 72 << 72)}/56"


def _address(hop: str) -> str | None:
    """The address in an entry of the header, without the port that some proxies add."""
    bare = hop[1:].partition("]")[0] if hop.startswith("[") else hop
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None
