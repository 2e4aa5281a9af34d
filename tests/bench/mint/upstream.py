"""A fake of Azure's mint route that costs next to nothing and counts.

``POST …/realtime/client_secrets`` mints, after the delay that ``POST /delay/MILLISECONDS`` set, and
``GET /counts`` tells how many mints and connections there were. Requests to these two must each come on a
connection of their own. Started by ``python -m tests.bench.mint.upstream``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MINT = "/realtime/client_secrets"
TOKEN_LIFE_S = 600
HEADERS = [
    (b"content-type", b"application/json"),
    (b"apim-request-id", b"2f0f2f7c-8f0d-4a53-9d52-3f5b8d1c9a10"),
    (b"x-ms-region", b"East US 2"),
]
SESSION: dict[str, Any] = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_bench",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "instructions": "You are a calm colleague who answers in one or two sentences. " * 13,
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "truncation": "auto",
    "expires_at": 0,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "whisper-1", "language": None, "prompt": None},
            "noise_reduction": {"type": "near_field"},
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
    },
}
SESSION_JSON = json.dumps(SESSION)


@dataclass
class Counts:
    """What was asked so far. ``asides`` are requests of the bench itself, each on its own connection."""

    connections: int = 0
    asides: int = 0
    mints: int = 0


class Upstream:
    """The raw ASGI app."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._delay_s = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        path = scope["path"]
        if path.endswith(MINT):
            await self._mint(send)
        else:
            self._counts.asides += 1
            if path.startswith("/delay/"):
                self._delay_s = int(path.removeprefix("/delay/")) / 1000
            await answer(send, json.dumps(self._told()).encode())

    async def _mint(self, send: Any) -> None:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        self._counts.mints += 1
        ends_at = int(time.time()) + TOKEN_LIFE_S
        text = f'{{"value":"ek_{self._counts.mints:032x}","expires_at":{ends_at},"session":{SESSION_JSON}}}'
        await answer(send, text.encode())

    def _told(self) -> dict[str, int]:
        return {
            "mints": self._counts.mints,
            "connections": self._counts.connections - self._counts.asides,
        }


async def answer(send: Any, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": body})


def counting(counts: Counts) -> type[asyncio.Protocol]:
    """uvicorn's protocol, which also counts connections."""

    class Counted(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:
            counts.connections += 1
            super().connection_made(transport)

    return Counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    counts = Counts()
    uvicorn.run(
        Upstream(counts),
        port=parser.parse_args().port,
        http=counting(counts),
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=600,
    )


if __name__ == "__main__":
    main()
