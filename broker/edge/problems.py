"""Problem documents (RFC 9457) as a table: error of the domain -> what a client may learn about it.

Nothing but a row of the table leaves a service: no exception text, no upstream text. Temporary problems
carry ``retryable: true`` and, where we know when, ``Retry-After``.

Source: https://www.rfc-editor.org/rfc/rfc9457 (checked 2026-11-20).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

ErrorResponder = Callable[[Request, Exception], Awaitable["ProblemResponse"]]

SOONEST_RETRY_S = 1.0

log = structlog.get_logger(__name__)


class ProblemResponse(JSONResponse):
    """A problem document on its way out."""

    media_type = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What a client may learn about one kind of failure.

    ``name`` is the stable last part of ``type``; clients switch on it. ``says`` marks errors whose own text
    was written for the caller and becomes ``detail``; ``closes`` ends the connection.
    """

    name: str
    status: int
    title: str
    retry_after_s: float | None = None
    retryable: bool = False
    says: bool = False
    closes: bool = False

    @property
    def uri(self) -> str:
        return f"urn:voicelive:problem:{self.name}"


class Invalid(Exception):
    """The body does not say what it must. ``errors`` names each place and never repeats a value."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("the request does not say what it must")
        self.errors = tuple(errors)


class Unreadable(Exception):
    """The body is not the JSON it claims to be."""


class WrongMediaType(Exception):
    """The body is of a kind this route does not read."""


class TooLarge(Exception):
    """The body is larger than this route reads."""


class TooSlow(Exception):
    """The body did not arrive within the time this route waits."""


class CutOff(Exception):
    """The sender went away in the middle of the body."""


class TooDeep(Exception):
    """The body's JSON is nested deeper than anything a route reads."""


class Compressed(Exception):
    """The body is compressed: nobody knows how large it is."""


class Ambiguous(Exception):
    """The request gives its body two lengths: a length and a transfer coding."""


class NotSignedIn(Exception):
    """Nobody has proved who is asking."""


class NotAllowed(Exception):
    """We know who is asking, and they may not do this."""


class RolesNotInToken(Exception):
    """The access token lists no roles because the person is in too many groups; we do not go and ask."""


class SignInUnverifiable(Exception):
    """The access token may be good; the keys to check it cannot be had before ``retry_after_s``."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the keys to check the access token are not here yet")
        self.retry_after_s = retry_after_s


EDGE_PROBLEMS: dict[type[Exception], ProblemType] = {
    Invalid: ProblemType("invalid-request", 422, "The request does not say what it must"),
    Unreadable: ProblemType("unreadable-body", 400, "The body is not valid JSON"),
    WrongMediaType: ProblemType("wrong-media-type", 415, "This route does not read that content type"),
    TooLarge: ProblemType("body-too-large", 413, "The body is larger than this route reads"),
    TooSlow: ProblemType(
        "body-too-slow", 408, "The body took too long to arrive", retryable=True, closes=True
    ),
    TooDeep: ProblemType("body-too-deep", 400, "The body is nested too deeply"),
    Compressed: ProblemType("compressed-body", 415, "Bodies must not be compressed"),
    Ambiguous: ProblemType("ambiguous-length", 400, "The body has two lengths", closes=True),
    CutOff: ProblemType("body-cut-off", 400, "The body ended in the middle", retryable=True),
    NotSignedIn: ProblemType("not-signed-in", 401, "Sign in first", says=True),
    NotAllowed: ProblemType("not-allowed", 403, "You may not do this", says=True),
    RolesNotInToken: ProblemType("roles-not-in-token", 403, "The access token cannot say what you may do"),
    SignInUnverifiable: ProblemType("sign-in-unverifiable", 503, "The access token cannot be checked now"),
    Exception: ProblemType("internal-error", 500, "We made a mistake; it is in our log", retryable=True),
}


def handlers(table: Mapping[type[Exception], ProblemType]) -> dict[Any, ErrorResponder]:
    """Turn an error table into Starlette's ``exception_handlers``; plain HTTP errors become about:blank."""
    rows = {**EDGE_PROBLEMS, **table}
    return {HTTPException: _plain} | {error: _responder(row) for error, row in rows.items()}


def answer(exc: Exception) -> ProblemResponse:
    """The document about one of the edge's own errors, for what stands before the routes."""
    return _document(EDGE_PROBLEMS[type(exc)], exc)


def _responder(problem: ProblemType) -> ErrorResponder:
    async def respond(request: Request, exc: Exception) -> ProblemResponse:
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("bug", path=_template(request), error=type(exc).__name__, exc_info=exc)
        return _document(problem, exc)

    return respond


def _template(request: Request) -> str:
    """Which route it was. The path itself may hold a person, or anything that somebody typed."""
    return f"{request.scope.get('root_path', '')}{getattr(request.scope.get('route'), 'path', '')}"


def _document(problem: ProblemType, exc: Exception) -> ProblemResponse:
    retry_after_s = _retry_after_s(problem, exc)
    body: dict[str, Any] = {
        "type": problem.uri,
        "title": problem.title,
        "status": problem.status,
        "trace_id": structlog.contextvars.get_contextvars().get("trace_id", ""),
        "retryable": problem.retryable or retry_after_s is not None,
    }
    headers = {"Cache-Control": "no-store"}
    if problem.says and str(exc):
        body["detail"] = str(exc)
    if isinstance(exc, Invalid):
        body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in exc.errors]
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.closes:
        headers["Connection"] = "close"
    if retry_after_s is not None:
        body["retry_after_ms"] = math.ceil(round(retry_after_s * 1000, 3))  # never a moment too early
        headers["Retry-After"] = str(math.ceil(retry_after_s))
    return ProblemResponse(body, problem.status, headers)


def _retry_after_s(problem: ProblemType, exc: Exception) -> float | None:
    """When to come back: what the error knows, else what is usual; never at once, that makes a storm."""
    known = getattr(exc, "retry_after_s", None)
    wait_s = problem.retry_after_s if known is None else known
    return None if wait_s is None else max(SOONEST_RETRY_S, wait_s)


async def _plain(_request: Request, exc: Exception) -> ProblemResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - Starlette calls us for nothing else
    body = {
        "type": "about:blank",
        "title": HTTPStatus(exc.status_code).phrase,
        "status": exc.status_code,
        "trace_id": structlog.contextvars.get_contextvars().get("trace_id", ""),
        "retryable": False,
    }
    return ProblemResponse(body, exc.status_code, dict(exc.headers or {}))
