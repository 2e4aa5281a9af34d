"""Who is asking: one list of ways to prove it. The routes know only `Callers`."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from starlette.requests import Request

from broker.edge.problems import NotAllowed, NotSignedIn

# Both parts are allow-lists, so that "dev_bob_admin_viewer" is nobody and not an admin called "bob".
DEVELOPMENT_PREFIX = "dev_"
DEVELOPMENT_TOKEN = re.compile(r"dev_(?P<name>[A-Za-z0-9.-]{1,32})_(?P<role>admin|analyst|pm|viewer|user)")
MAY_OPERATE = frozenset({"admin"})
MAY_CALL = frozenset({"admin", "analyst", "pm", "user"})


class Proof(StrEnum):
    """What somebody came with, by which we believe who it is."""

    ENTRA = "entra"
    SERVICE_PRINCIPAL = "service-principal"
    DEVELOPMENT_TOKEN = "development-token"  # noqa: S105 - a word for one
    NONE = "none"
    SHELL = "shell"  # of an operator: the machine's own word for its user


@dataclass(frozen=True, slots=True)
class Caller:
    """A person who is signed in. ``person`` is whose memory is read and written."""

    person: str
    role: str
    proof: Proof

    @property
    def may_call(self) -> bool:
        return self.role in MAY_CALL

    @property
    def may_operate(self) -> bool:
        return self.role in MAY_OPERATE


class Way(Protocol):
    """One way to prove who is asking. ``wants`` says what to send for it."""

    @property
    def wants(self) -> str: ...

    async def identify(self, request: Request[Any]) -> Caller | None:
        """None when the request does not go this way. Raises `NotSignedIn` when it does and proves nobody."""
        ...


class Callers:
    """The ways that count here, asked in order. Fails closed: without any nobody is signed in.

    A way that says no ends it: what is no good access token is not tried as something else.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = tuple(ways)

    @property
    def let_anyone_in(self) -> bool:
        """Whether nothing has to be proved, because everybody is one and the same person."""
        return any(isinstance(way, Everyone) for way in self._ways)

    async def identify(self, request: Request[Any]) -> Caller:
        """Raises `NotSignedIn` when the request proves nobody, `NotAllowed` for somebody without a role."""
        for way in self._ways:
            caller = await way.identify(request)
            if caller is not None:
                return caller
        if not self._ways:
            raise NotSignedIn("this service has no way to sign in configured")
        wanted = " or ".join(way.wants for way in self._ways)
        raise NotSignedIn(f"send Authorization: Bearer and {wanted}")


class Everyone:
    """Every request is one and the same low-privileged person: the proof-of-concept mode.

    A page of another origin than the listed ones is nobody all the same: where nothing has to be proved, any
    site a person visits could otherwise speak for them.
    """

    wants = "nothing"

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    async def identify(self, request: Request[Any]) -> Caller | None:
        page = request.headers.get("origin")
        if page is not None and page not in self._origins and page != _own_origin(request):
            raise NotAllowed("this page's origin is not listed")
        return Caller("poc-user", "analyst", Proof.NONE)


class DevelopmentTokens:
    """``Authorization: Bearer dev_<user>_<role>``; for machines that hold no real person's data.

    The person is namespaced, so that no development token can ever name a real one.
    """

    wants = "dev_<user>_<role>"

    async def identify(self, request: Request[Any]) -> Caller | None:
        sent = bearer(request)
        if sent is None or not sent.startswith(DEVELOPMENT_PREFIX):
            return None
        token = DEVELOPMENT_TOKEN.fullmatch(sent)
        if token is None:
            raise NotSignedIn("this is not dev_<user>_<role>")
        return Caller(f"dev:{token['name']}", token["role"], Proof.DEVELOPMENT_TOKEN)


def _own_origin(request: Request[Any]) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def bearer(request: Request[Any]) -> str | None:
    """What follows ``Authorization: Bearer``, if anything does."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def callers_for(
    *,
    auth_required: bool,
    development_tokens: bool,
    origins: Collection[str],
    access_tokens: Way | None = None,
) -> Callers:
    """Every way to prove who is asking, in order, as far as the settings allow it.

    What a platform in front says about a caller (``X-MS-CLIENT-PRINCIPAL*``) is none: it is a header like any
    other as soon as that platform's sign-in is off, or something else reaches us.
    """
    if not auth_required:
        return Callers([Everyone(origins)])
    development = DevelopmentTokens() if development_tokens else None
    return Callers([way for way in (access_tokens, development) if way is not None])
