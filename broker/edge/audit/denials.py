"""Refusals go on record: a problem document for who was refused, a line in the audit for who asks later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from broker.edge.audit.entries import known_asker
from broker.edge.problems import (
    EDGE_PROBLEMS,
    ErrorResponder,
    NotAllowed,
    NotSignedIn,
    ProblemResponse,
    RolesNotInToken,
)

REFUSALS: tuple[type[Exception], ...] = (NotSignedIn, NotAllowed, RolesNotInToken)


def with_denials_on_record(responders: Mapping[Any, ErrorResponder]) -> dict[Any, ErrorResponder]:
    """The same responders; those for refusals also note them in the audit of the request's state."""
    noting = {error: _noting(responders[error], EDGE_PROBLEMS[error].name) for error in REFUSALS}
    return {**responders, **noting}


def _noting(respond: ErrorResponder, reason: str) -> ErrorResponder:
    async def note_and_respond(request: Request, exc: Exception) -> ProblemResponse:
        # The name of the function that answers: a path may hold an id of a person.
        route = getattr(request.scope.get("endpoint"), "__name__", "")
        request.state["audit"].deny(known_asker(request), reason, route)
        return await respond(request, exc)

    return note_and_respond
