"""Serves the page in ``web/``, for local runs; in Azure a static site does, with the same headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

WEB = Path(__file__).parent.parent / "web"
PAGE_SUFFIXES = frozenset([".html", ".css", ".js"])


def page_headers(may_connect_to: Iterable[str]) -> dict[str, str]:
    """What the browser is told about the page: which hosts it may talk to, and that no inline script runs."""
    hosts = " ".join(["'self'", *sorted({_origin(url) for url in may_connect_to})])
    policy = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        f"connect-src {hosts}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }


def page_routes(headers: dict[str, str], folder: Path = WEB) -> list[Route]:
    """A route for each file of the page, and nothing else: what is not the page stays with the API."""

    def serving(path: Path) -> Callable[[Request], Awaitable[Response]]:
        async def serve(_request: Request) -> Response:
            return FileResponse(path, headers=headers)

        return serve

    files = sorted(path for path in folder.iterdir() if path.suffix in PAGE_SUFFIXES)
    return [
        Route("/", serving(folder / "index.html")),
        *(Route(f"/{path.name}", serving(path)) for path in files),
    ]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
