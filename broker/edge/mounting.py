"""Paths that mean what they say: one with a slash too many is no other path.

Starlette would answer it with a redirect to an address made of the caller's ``Host``, which no table of ours
declares; and a POST that is redirected loses its body in some clients.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Router


def mounted(path: str, routes: Sequence[BaseRoute]) -> Mount:
    """The routes under another path as well."""
    return Mount(path, app=Router(routes, redirect_slashes=False))


def exact(app: Starlette) -> Starlette:
    """The app, which redirects nobody."""
    app.router.redirect_slashes = False
    return app
