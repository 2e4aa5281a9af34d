"""Spans: what one request caused, and how long each part took. Off unless the settings name a place for them.

A span names rows, hosts, statuses, our ids and the class of an error, and nothing that anybody said, sent or
is called: no exception is recorded with its text. Its trace id is the one that `Traced` binds for the logs.

The SDK is the reference implementation, https://opentelemetry.io/docs/specs/otel/trace/sdk/; names follow
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (both checked 2026-11-20).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog
from opentelemetry import context as contexts
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.edge.settings import SharedSettings
from broker.edge.telemetry import TRACEPARENT

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

SERVER, CLIENT, CONSUMER, INTERNAL = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.CONSUMER, SpanKind.INTERNAL
PROBED = frozenset(["/health", "/metrics", "/ready"])  # every few seconds, and nobody asks how it went
METHODS = frozenset(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])
FLUSH_S = 3.0

Attributes = Mapping[str, str | int | float | bool]
NONE: Attributes = {}

log = structlog.get_logger(__name__)


class Tracing:
    """The spans of one service; ``open_exporter`` is None where nobody wants any, and then they cost nothing.

    Of all traces the share ``ratio`` is kept, the same ones in both services, because the trace id decides.
    What a caller's ``traceparent`` says of sampling does not: nobody outside may switch our spans on or off.
    """

    def __init__(
        self,
        service: str = "",
        open_exporter: Callable[[TracerProvider], SpanExporter] | None = None,
        *,
        environment: str = "",
        ratio: float = 1.0,
        flush_s: float = FLUSH_S,
    ) -> None:
        self._service = service
        self._open_exporter = open_exporter
        self._environment = environment
        self._ratio = ratio
        self._flush_s = flush_s
        self._tracer: Tracer | None = None
        self._nothing = nullcontext(INVALID_SPAN)

    @property
    def is_wanted(self) -> bool:
        return self._open_exporter is not None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Spans are kept inside; on leaving, those that still wait get ``flush_s`` to be exported."""
        if self._open_exporter is None:
            yield
            return
        from broker.edge import span_export  # noqa: PLC0415 - the SDK, only where it is used

        provider = span_export.provider_of(self._service, self._environment, self._ratio)
        span_export.export_to(self._open_exporter(provider), provider)
        self._tracer = provider.get_tracer("voicelive")
        try:
            yield
        finally:
            self._tracer = None
            await _flushed(provider, self._flush_s)

    def span(
        self,
        name: str,
        attributes: Attributes = NONE,
        *,
        kind: SpanKind = INTERNAL,
        links: Sequence[Link] = (),
    ) -> AbstractContextManager[Span]:
        """A part of what is being done, until leaving; nothing when its trace is not kept."""
        if self._tracer is None:
            return self._nothing
        current = contexts.get_current()
        above = get_current_span(current)
        if not above.is_recording() and above.get_span_context().is_valid:
            return self._nothing
        return _Open(self._tracer.start_span(name, current, kind, attributes, links), current)

    def request(self, method: str, caused_by: SpanContext | None) -> AbstractContextManager[Span]:
        """The span of a request: part of the caller's trace, or the first of its own."""
        if self._tracer is None:
            return self._nothing
        above = contexts.Context() if caused_by is None else set_span_in_context(NonRecordingSpan(caused_by))
        return _Open(self._tracer.start_span(method, above, SERVER, {"http.request.method": method}), above)


class _Open:
    """A span that is the current one until leaving. Of an error only the class is noted."""

    __slots__ = ("_above", "_span", "_token")

    def __init__(self, span: Span, above: contexts.Context) -> None:
        self._span = span
        self._above = above

    def __enter__(self) -> Span:
        self._token = contexts.attach(set_span_in_context(self._span, self._above))
        return self._span

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        contexts.detach(self._token)
        if kind is not None:
            self._span.set_attribute("error.type", kind.__name__)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def tracing_of(settings: SharedSettings, service: str, exporter: SpanExporter | None = None) -> Tracing:
    """The spans of a service as its settings ask for them; ``exporter`` is another place, for tests."""
    environment = settings.environment.value
    if exporter is not None:
        return Tracing(service, lambda _: exporter, environment=environment, ratio=settings.traces_ratio)
    if settings.traces == "off":
        return Tracing()
    return Tracing(
        service, partial(_exporter_of, settings), environment=environment, ratio=settings.traces_ratio
    )


def _exporter_of(settings: SharedSettings, provider: TracerProvider) -> SpanExporter:
    from broker.edge import span_export  # noqa: PLC0415 - the SDK, only where it is used

    insights = settings.applicationinsights_connection_string
    if settings.traces == "azure-monitor" and insights is not None:
        return span_export.azure_monitor(insights.get_secret_value(), provider)
    return span_export.console()


async def _flushed(provider: TracerProvider, within_s: float) -> None:
    """Shut down in a thread that ends with the process: an exporter may hang, and nobody waits for it."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        try:
            provider.shutdown()
        except Exception as exc:  # noqa: BLE001 - an exporter is anybody's, and may raise anything
            log.warning("traces.unflushed", error=type(exc).__name__)
        with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=shut_down, name="last spans", daemon=True).start()
    try:
        async with asyncio.timeout(within_s):
            await done.wait()
    except TimeoutError:
        log.warning("traces.unflushed", reason="the exporter takes too long")


class Spanned:
    """A span for each request, called ``METHOD route-template``: never a path, which may hold anything."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBED:
            await self._app(scope, receive, send)
            return
        status = 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in METHODS else "HTTP"
        with self._tracing.request(method, _caused_by(scope)) as span:
            try:
                await self._app(scope, receive, send_noted)
            finally:
                if span.is_recording():
                    _note_answer(span, method, scope, status)


def _caused_by(scope: Scope) -> SpanContext | None:
    sent = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
    return None if sent is None else span_context_of(sent.decode("latin-1"))


def _note_answer(span: Span, method: str, scope: Scope, status: int) -> None:
    """``status`` is 0 when nothing was answered."""
    told: dict[str, str | int] = {"http.response.status_code": status} if status else {}
    route = scope.get("route")
    if isinstance(route, Route):
        told["http.route"] = f"{scope.get('root_path', '')}{route.path}"
        span.update_name(f"{method} {told['http.route']}")
    if status >= 500:
        span.set_status(StatusCode.ERROR)
    span.set_attributes(told)


def note(attributes: Attributes) -> None:
    """Say more of the span that is open now, if one is."""
    span = get_current_span()
    if span.is_recording():
        span.set_attributes(attributes)


def failed(attributes: Attributes = NONE) -> None:
    """The span that is open now stands for something that did not work, though no error leaves it."""
    span = get_current_span()
    if span.is_recording():
        span.set_status(StatusCode.ERROR)
        span.set_attributes(attributes)


def span_context_of(traceparent: str | None) -> SpanContext | None:
    """Where a ``traceparent`` comes from; None when it is none."""
    if traceparent is None or TRACEPARENT.fullmatch(traceparent) is None:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def link_to(traceparent: str | None) -> list[Link]:
    """A link to what another request said it is part of, or caused; none when that is nothing."""
    context = span_context_of(traceparent)
    return [] if context is None else [Link(context)]


def current_traceparent() -> str | None:
    """How others name the span that is open now; None without one."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"
