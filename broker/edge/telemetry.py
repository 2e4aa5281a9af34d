"""Logs as JSON lines with allow-listed fields, and a trace id on everything one request causes."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import traceback
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.edge.scrubbing import scrubbed

# W3C Trace Context, version 00: https://www.w3.org/TR/trace-context/ (checked 2026-11-20)
TRACEPARENT = re.compile(r"00-(?!0{32})(?P<trace_id>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

# What a log line may carry. A field that is not here is dropped: nobody logs a transcript by accident.
FIELDS = frozenset(
    """
    event level timestamp environment trace_id client_trace_id session_id agent_id turn_id path status
    error frames reason row verdict upstream_status upstream_request_id attempts ms memory facts accepted
    duplicate rejected depth delay_s sessions service process requests failed slow refused unrecorded active
    ways oldest_s parked
    """.split()  # noqa: SIM905 - fifty quotes would hide the words
)


def configure_logging(level: str) -> None:
    """JSON lines on standard error, ours and those of libraries; libraries that print requests only warn."""
    line = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering()],
        foreign_pre_chain=[structlog.stdlib.add_log_level, without_a_library_s_words],
    )
    root = logging.StreamHandler(sys.stderr)
    root.setFormatter(line)
    logging.basicConfig(handlers=[root], level=level.upper(), force=True)
    for chatty in ("httpx", "httpcore", "azure", "uvicorn.access", "aiohttp", "psycopg"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *_rendering(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def _rendering() -> list[structlog.typing.Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        frames_without_values,
        only(FIELDS),
        structlog.processors.JSONRenderer(),
        scrubbed,
    ]


def without_a_library_s_words(
    _logger: Any, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A library's message may quote anything: keep its template, and of an error only who logged it."""
    record: logging.LogRecord = entry["_record"]
    is_error = record.levelno >= logging.ERROR
    entry["event"] = f"{record.name}: error" if is_error else f"{record.name}: {record.msg}"
    return entry


def frames_without_values(
    _logger: Any, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace ``exc_info`` by where it happened. An exception's text may quote a secret or a transcript."""
    exc = entry.pop("exc_info", None)
    if isinstance(exc, tuple):  # as the standard library has it
        exc = exc[1]
    while isinstance(exc, BaseExceptionGroup):  # the first of a group says more than the group
        exc = exc.exceptions[0]
    if isinstance(exc, BaseException):
        stack = traceback.extract_tb(exc.__traceback__)
        entry["error"] = type(exc).__name__
        entry["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
    return entry


def only(fields: Iterable[str]) -> structlog.typing.Processor:
    allowed = frozenset(fields)

    def drop_the_rest(
        _logger: Any, _method: str, entry: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {name: value for name, value in entry.items() if name in allowed}

    return drop_the_rest


def trace_id_of(traceparent: str | None) -> str:
    """The trace this request belongs to: the browser's when it sent a valid one, else a new one."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    return match["trace_id"] if match else secrets.token_hex(16)


def bound_trace_id() -> str | None:
    """The trace of the request that is being served; None outside of one."""
    trace_id: str | None = structlog.contextvars.get_contextvars().get("trace_id")
    return trace_id


class Traced:
    """Binds the trace id for logs and problem documents and gives it back as ``X-Trace-Id``.

    What else is bound while a request is served is the request's own, and gone with the next.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace_id = trace_id_of(Headers(scope=scope).get("traceparent"))

        async def send_with_trace(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-trace-id", trace_id.encode())]
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        await self._app(scope, receive, send_with_trace)
