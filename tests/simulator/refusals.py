"""Azure's ways to say no: a status, one of its two error bodies, and the texts that were really seen.

Source of the texts: public reports collected from Microsoft Q&A, LiteLLM and SDK issues, and
https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc (checked 2026-11-20).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from tests.simulator.scenarios import Scenario

WRONG_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
    "for an active subscription and use a correct regional API endpoint for your resource."
)
NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last "
    "5 minutes, please wait a moment and try again."
)
NOT_REALTIME = (
    "The realtime operation does not work with the specified model. "
    "Please choose different model and try again."
)
TOO_MANY = (
    "Requests to the Realtime operation have exceeded the call rate limit. Please retry after 1 second."
)


class Refusal(Exception):
    """Azure says no. ``error`` is what stands under the body's ``error``."""

    def __init__(self, status: int, error: dict[str, object], headers: dict[str, str] | None = None) -> None:
        super().__init__(f"HTTP {status} {error.get('code')}: {error['message']}")
        self.status = status
        self.error = error
        self.headers = headers or {}


def short(status: int, code: str, message: str) -> Refusal:
    """The body of Azure's own front: ``{"error": {"code", "message"}}``."""
    return Refusal(status, {"code": code, "message": message})


def detailed(status: int, code: str, message: str, param: str | None = None) -> Refusal:
    """The body of the model's API: ``{"error": {"message", "type", "param", "code"}}``."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return Refusal(status, {"message": message, "type": kind, "param": param, "code": code})


def not_found() -> Refusal:
    return short(404, "404", "Resource not found")


def wrong_credential() -> Refusal:
    return short(401, "401", WRONG_KEY)


def no_ephemeral_token(*, given: bool) -> Refusal:
    """``/calls`` accepts nothing but a minted token, not even the standing credential."""
    return short(401, "401", f"Realtime session ephemeral token is {'invalid' if given else 'required'}.")


def staged(scenario: Scenario) -> Refusal:
    """The refusal that a scenario asks for."""
    if scenario.refuse == 429:
        refusal = short(429, "429", TOO_MANY)
        refusal.headers = {"retry-after-ms": "1000", "retry-after": "1"}
        return refusal
    return detailed(
        500, "server_error", "The server had an error while processing your request. Sorry about that!"
    )


async def render(_request: Request, refusal: Exception) -> JSONResponse:
    """The exception handler of the HTTP surface."""
    assert isinstance(refusal, Refusal)
    return JSONResponse({"error": refusal.error}, refusal.status, refusal.headers)
