"""Azure's bodies, as documented or seen (checked 2026-11-20), and the bodies that are none of Azure's.

https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-webrtc
"""

from __future__ import annotations

import json
import time

LIFETIME_S = 60
NO_SUCH_ROUTE = b'{"error":{"code":"404","message":"Resource not found"}}'
WRONG_KEY = json.dumps(
    {
        "error": {
            "code": "401",
            "message": "Access denied due to invalid subscription key or wrong API endpoint. Make sure to"
            " provide a valid key for an active subscription and use a correct regional API endpoint for your"
            " resource.",
        }
    }
).encode()
THROTTLED = b'{"error":{"code":"429","message":"Rate limit is exceeded. Try again later."}}'
SERVER_ERROR = b'{"error":{"code":"InternalServerError","message":"The server had an error."}}'


def minted(value: str, model: str = "gpt-realtime", *, expires_at: int | None = None) -> bytes:
    session = {"type": "realtime", "object": "realtime.session", "id": "sess_bench", "model": model}
    ends_at = int(time.time()) + LIFETIME_S if expires_at is None else expires_at
    return json.dumps({"value": value, "expires_at": ends_at, "session": session}).encode()


def rubbish(choice: int) -> tuple[bytes, dict[str, str]]:
    """A body that comes with 200 and holds no token, and its headers."""
    variants: tuple[tuple[bytes, dict[str, str]], ...] = (
        (
            b"<html><body>Our services are not available right now.</body></html>",
            {"content-type": "text/html"},
        ),
        (b'{"value": "ek_cut_of', {}),
        (minted(""), {}),
        (minted("ek_expired", expires_at=int(time.time()) - 60), {}),
        (b'{"value": "' + b"x" * 80_000 + b'"}', {}),
    )
    return variants[choice % len(variants)]
