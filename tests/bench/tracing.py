"""What the spans of one mint cost its thread: without traces, with none of them kept, with all of them kept.

``python -m tests.bench.tracing``. The best of many short runs: this machine does other things too.
"""

from __future__ import annotations

import asyncio
import gc
import time

import structlog
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from broker.edge.tracing import Spanned, Tracing, current_traceparent, note

MINTS, RUNS = 200, 80
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/realtime/token",
    "headers": [(b"traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()), (b"host", b"broker")],
}
ROW = {
    "mint.strategy": "direct",
    "mint.domain": "primary",
    "mint.dialect": "ga",
    "mint.outcome": "abandoned",
    "server.address": "resource.openai.azure.com",
}


class Nowhere(SpanExporter):
    """Takes everything."""

    def export(self, spans):
        return SpanExportResult.SUCCESS


def spans_of_a_mint(tracing):
    """As the broker makes them, with an audit and a memory."""

    async def app(_scope, _receive, send):
        note({"engram.session_id": "s-1"})
        with tracing.span("memory.recall"):
            current_traceparent()
            note({"memory.status": "hit"})
        with tracing.span("audit.write"):
            pass
        with tracing.span("mint"), tracing.span("mint.attempt", ROW):
            note({"http.response.status_code": 200, "azure.apim_request_id": "r-1"})
            note({"mint.outcome": "minted"})
        with tracing.span("audit.write"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    return app


async def nothing(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def sent(_message):
    pass


async def microseconds(app):
    """Of CPU of this thread for one request."""
    best = float("inf")
    for _ in range(RUNS):
        began = time.thread_time()
        for _ in range(MINTS):
            await app(dict(SCOPE), None, sent)
        best = min(best, time.thread_time() - began)
    return best / MINTS * 1e6


async def main():
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)  # as a service has it
    structlog.contextvars.bind_contextvars(trace_id=TRACE)
    bare = await microseconds(nothing)
    print(f"no traces: {await microseconds(spans_of_a_mint(Tracing())) - bare:.1f} µs")
    for ratio in (0, 1):
        tracing = Tracing("broker", lambda _: Nowhere(), ratio=ratio)
        async with tracing.opened():
            spanned = Spanned(spans_of_a_mint(tracing), tracing)
            print(f"{ratio:.0%} kept: {await microseconds(spanned) - bare:.1f} µs")


if __name__ == "__main__":
    asyncio.run(main())
