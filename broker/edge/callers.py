"""Who is asking. Fails closed: no way to prove it configured means that nobody is signed in.

Signing in with Entra ID is a further class here; the routes know only `Callers`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request

from broker.edge.problems import NotAllowed, NotSignedIn

# Both parts are allow-lists, so that "dev_bob_admin_viewer" is nobody and not an admin called "bob".
DEVELOPMENT_PREFIX = "dev_"
DEVELOPMENT_TOKEN = re.compile(r"dev_(?P<name>[A-Za-z0-9.-]{1,32})_(?P<role>admin|analyst|pm|viewer|user)")
MAY_OPERATE = frozenset({"admin"})
MAY_CALL = frozenset({"admin", "analyst", "pm", "user"})


@dataclass(frozen=True, slots=True)
class Caller:
    """A person who is signed in. ``person`` is whose memory is read and written."""

    person: str
    role: str

    @property
    def may_call(self) -> bool:
        return self.role in MAY_CALL

    @property
    def may_operate(self) -> bool:
        return self.role in MAY_OPERATE


class Callers(Protocol):
    """One way to prove who is asking."""

    def identify(self, request: Request[Any]) -> Caller:
        """Raises `NotSignedIn` when the request proves nobody."""
        ...


class Everyone:
    """Every request is one and the same low-privileged person: the proof-of-concept mode.

    A page of another origin than the listed ones is nobody all the same: where nothing has to be proved, any
    site a person visits could otherwise speak for them.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def identify(self, request: Request[Any]) -> Caller:
        page = request.headers.get("origin")
        if page is not None and page not in self._origins and page != _own_origin(request):
            raise NotAllowed("this page's origin is not listed")
        return Caller("poc-user", "analyst")


class DevelopmentTokens:
    """``Authorization: Bearer dev_<user>_<role>``; for machines that hold no real person's data.

    The person is namespaced, so that no development token can ever name a real one.
    """

    def identify(self, request: Request[Any]) -> Caller:
        token = DEVELOPMENT_TOKEN.fullmatch(bearer(request) or "")
        if token is None:
            raise NotSignedIn("send Authorization: Bearer dev_<user>_<role>")
        return Caller(f"dev:{token['name']}", token["role"])


class Nobody:
    """No way to sign in is configured."""

    def identify(self, request: Request[Any]) -> Caller:  # noqa: ARG002 - the protocol's parameter
        raise NotSignedIn("this service has no way to sign in configured")


def _own_origin(request: Request[Any]) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def bearer(request: Request[Any]) -> str | None:
    """What follows ``Authorization: Bearer``, if anything does."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def callers_for(*, auth_required: bool, development_tokens: bool, origins: Collection[str]) -> Callers:
    """The one way to prove who is asking that the settings choose."""
    if not auth_required:
        return Everyone(origins)
    return DevelopmentTokens() if development_tokens else Nobody()
