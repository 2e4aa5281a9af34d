"""What stands around both services: requests that try to be misread are refused, answers say what they must.

Plain ASGI: a middleware with a task and a stream for each request would cost more than a mint's own work.
Facts checked 2026-11-20: a length beside a transfer coding is an attempt to smuggle,
https://www.rfc-editor.org/rfc/rfc9112#section-6.1, and uvicorn 0.54 lets it through (tried); browsers send
``Origin`` with every POST and DELETE, https://fetch.spec.whatwg.org/#origin-header, and nothing but a browser
writes ``Sec-Fetch-Site``, https://www.w3.org/TR/fetch-metadata/.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.edge.addresses import Behind
from broker.edge.problems import Ambiguous, Compressed, NotAllowed, answer
from broker.edge.settings import SharedSettings
from broker.edge.telemetry import Traced
from broker.edge.tracing import Spanned, Tracing

WATCHED = frozenset(
    [b"content-encoding", b"content-length", b"host", b"origin", b"sec-fetch-site", b"transfer-encoding"]
)
SAFE = frozenset(["GET", "HEAD", "OPTIONS"])
LOOPBACK = (b"127.", b"localhost", b"[::1]")
TOLD = (  # unless the route says otherwise
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")


def around(
    app: ASGIApp, settings: SharedSettings, methods: Collection[str], tracing: Tracing | None = None
) -> ASGIApp:
    """The app as it may be reached, from the outside in: traced, behind its proxies, spanned, hardened, CORS.

    CORS is outside Starlette, so that a 500 carries its headers too and the page can read the problem.
    """
    with_cors = CORSMiddleware(
        app,
        allow_origins=sorted(settings.cors_origins),
        allow_methods=sorted(methods),
        allow_headers=["Authorization", "Content-Type", "traceparent"],
        expose_headers=["Retry-After", "X-Trace-Id"],
    )
    hardened: ASGIApp = Hardened(with_cors, settings.cors_origins)
    if tracing is not None and tracing.is_wanted:
        hardened = Spanned(hardened, tracing)
    proxies = settings.trusted_proxies
    return Traced(Behind(hardened, proxies) if proxies else hardened)


class Hardened:
    """Refuses before anything is read; ``origins`` are the pages that may write from elsewhere."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = {name: value for name, value in scope["headers"] if name in WATCHED}
        told = TOLD if seen.get(b"host", b"").startswith(LOOPBACK) else (*TOLD, ONLY_TLS)

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                missing = [each for each in told if each[0] not in said]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        refusal = self._refusal(scope, seen)
        respond = self._app if refusal is None else answer(refusal)
        await respond(scope, receive, send_told)

    def _refusal(self, scope: Scope, seen: dict[bytes, bytes]) -> Exception | None:
        if b"transfer-encoding" in seen and b"content-length" in seen:
            return Ambiguous()
        if seen.get(b"content-encoding", b"identity").lower() != b"identity":
            return Compressed()
        if scope["method"] not in SAFE and not self._may_write(scope, seen):
            return NotAllowed("this page's origin is not listed")
        return None

    def _may_write(self, scope: Scope, seen: dict[bytes, bytes]) -> bool:
        """A page of ours, a listed one, or no page at all: a program sends neither header."""
        site = seen.get(b"sec-fetch-site", b"none")
        origin = seen.get(b"origin")
        if origin is None or site == b"same-origin":  # the latter also behind a proxy that nobody told us of
            return site in (b"none", b"same-origin")
        return origin in self._origins or origin == _own(scope, seen)


def _own(scope: Scope, seen: dict[bytes, bytes]) -> bytes:
    scheme: Any = scope.get("scheme", "http")
    return b"%s://%s" % (scheme.encode(), seen.get(b"host", b""))
