"""Where spans go, and which are kept: what needs OpenTelemetry's SDK. Imported only where there are any."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from broker.edge.telemetry import bound_trace_id

MOST_QUEUED = 4_096  # what comes while so many wait for the exporter is dropped
EXPORT_EVERY_MS = 2_000
MOST_ATTRIBUTES = 32
LONGEST_ATTRIBUTE = 256
EXPORT_AT_ONCE = 512
LOW_BITS = 2**64 - 1  # of a trace id: what decides whether it is kept


def provider_of(service: str, environment: str, ratio: float) -> TracerProvider:
    """A provider of its own for one app: nothing global. What can be said here it need not read elsewhere."""
    return TracerProvider(
        sampler=ByTraceId(ratio),
        resource=Resource({"service.name": service, "deployment.environment.name": environment}),
        shutdown_on_exit=False,
        id_generator=BoundIds(),
        span_limits=SpanLimits(
            max_span_attributes=MOST_ATTRIBUTES, max_span_attribute_length=LONGEST_ATTRIBUTE
        ),
    )


def export_to(exporter: SpanExporter, provider: TracerProvider) -> None:
    """From now on spans go there, in a thread beside the loop."""
    queue = BatchSpanProcessor(
        exporter,
        max_queue_size=MOST_QUEUED,
        schedule_delay_millis=EXPORT_EVERY_MS,
        max_export_batch_size=EXPORT_AT_ONCE,
        export_timeout_millis=10_000,
    )
    provider.add_span_processor(queue)


class ByTraceId(Sampler):
    """Keeps a share of all traces, and each of them whole: the id alone decides, as OpenTelemetry's does.

    Parent-based without looking at the parent, which has the same id and so the same answer.
    https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased (checked 2026-11-20).
    """

    def __init__(self, ratio: float) -> None:
        self._below = round(ratio * (LOW_BITS + 1))

    def should_sample(  # noqa: PLR0913, PLR0917 - OpenTelemetry's own signature
        self,
        parent_context: Context | None,  # noqa: ARG002 - as for all that need not be looked at
        trace_id: int,
        name: str,  # noqa: ARG002
        kind: SpanKind | None = None,  # noqa: ARG002
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002
        trace_state: TraceState | None = None,  # noqa: ARG002
    ) -> SamplingResult:
        is_kept = trace_id & LOW_BITS < self._below
        return SamplingResult(Decision.RECORD_AND_SAMPLE if is_kept else Decision.DROP, attributes)

    def get_description(self) -> str:
        return f"ByTraceId{{{self._below / (LOW_BITS + 1)}}}"


class BoundIds(IdGenerator):
    """A trace begins with the id that is bound for the logs, so that both tell one story.

    Ids are no secrets, so the system need not be asked for randomness for every span.
    """

    def generate_trace_id(self) -> int:
        bound = bound_trace_id()
        return int(bound, 16) if bound else random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        return random.getrandbits(64) or 1


def console() -> SpanExporter:
    """Standard error, a line of JSON for each span: to look at on a developer's machine."""
    return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: f"{span.to_json(indent=None)}\n")


def azure_monitor(connection_string: str, provider: TracerProvider) -> SpanExporter:
    """Application Insights. What it does not take is lost: nothing is kept on disk and nothing repeated.

    Of an extra that is checked when the settings are read. Its options as of version 1.0.0b58
    (azure-monitor-opentelemetry-exporter, read 2026-11-20).
    """
    from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter  # noqa: PLC0415 - an extra

    return AzureMonitorTraceExporter(
        connection_string=connection_string,
        tracer_provider=provider,  # of which it reads what service this is; else it looks for a global one
        disable_offline_storage=True,
        retry_total=0,
    )
