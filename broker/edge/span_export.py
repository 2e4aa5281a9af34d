"""Where spans go, and which are kept: what needs OpenTelemetry's SDK. Imported only where there are any."""

from __future__ import annotations

import secrets
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from broker.edge.telemetry import bound_trace_id

MOST_QUEUED = 4_096  # what comes while so many wait for the exporter is dropped
EXPORT_EVERY_MS = 2_000
MOST_ATTRIBUTES = 32
LONGEST_ATTRIBUTE = 256
EXPORT_AT_ONCE = 512


def provider_of(service: str, environment: str, exporter: SpanExporter, ratio: float) -> TracerProvider:
    """A provider of its own for one app: nothing global. Its exporter runs in a thread beside the loop.

    It reads nothing of the environment that we could tell it here.
    """
    kept = TraceIdRatioBased(ratio)
    provider = TracerProvider(
        sampler=ParentBased(kept, remote_parent_sampled=kept, remote_parent_not_sampled=kept),
        resource=Resource({"service.name": service, "deployment.environment.name": environment}),
        shutdown_on_exit=False,
        id_generator=BoundIds(),
        span_limits=SpanLimits(
            max_span_attributes=MOST_ATTRIBUTES, max_span_attribute_length=LONGEST_ATTRIBUTE
        ),
    )
    queue = BatchSpanProcessor(
        exporter,
        max_queue_size=MOST_QUEUED,
        schedule_delay_millis=EXPORT_EVERY_MS,
        max_export_batch_size=EXPORT_AT_ONCE,
        export_timeout_millis=10_000,
    )
    provider.add_span_processor(queue)
    return provider


class BoundIds(IdGenerator):
    """A trace begins with the id that is bound for the logs, so that both tell one story."""

    def generate_trace_id(self) -> int:
        bound = bound_trace_id()
        return int(bound, 16) if bound else secrets.randbits(128) or 1

    def generate_span_id(self) -> int:
        return secrets.randbits(64) or 1


def console() -> SpanExporter:
    """Standard error, a line of JSON for each span: to look at on a developer's machine."""
    return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: f"{span.to_json(indent=None)}\n")


def azure_monitor(connection_string: str) -> SpanExporter:
    """Application Insights. What it does not take is lost: nothing is kept on disk and nothing repeated.

    Of an extra that is checked when the settings are read. Its options as of version 1.0.0b58
    (azure-monitor-opentelemetry-exporter, read 2026-11-20).
    """
    from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter  # noqa: PLC0415 - an extra

    return AzureMonitorTraceExporter(
        connection_string=connection_string, disable_offline_storage=True, retry_total=0
    )
