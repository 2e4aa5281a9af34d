"""The broker over HTTP, in this process: built, called, and its problems read."""

from __future__ import annotations

import time

import httpx

from broker.app import create_app
from tests.broker.build import ENRICHMENT

CONTEXT = f"{ENRICHMENT}/memory/context"
ORIGIN = {"Origin": "https://app.example.org"}


def minted(**changed):
    return {"value": "ek_canary", "expires_at": int(time.time()) + 60, "session": {}} | changed


def asked(respx_mock) -> list[str]:
    """Which upstream addresses were asked."""
    return [str(call.request.url) for call in respx_mock.calls if call.request.url.host != "test"]


def broker_app(chosen):
    """The broker without its canary: these tests count what callers ask."""
    return create_app(chosen, probing=False)


def problem(response: httpx.Response, status: int, name: str) -> dict:
    """The problem document, once it is one in form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"urn:voicelive:problem:{name}"
    assert body["status"] == status
    assert len(body["trace_id"]) == 32
    assert isinstance(body["retryable"], bool)
    return body
