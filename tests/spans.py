"""Spans that a service under test has ended, read in a form that is easy to compare."""

from __future__ import annotations

import json
import threading

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Spans(InMemorySpanExporter):
    """All spans of a service, once it has ended."""

    def named(self, name):
        return [span for span in self.get_finished_spans() if span.name == name]

    def one(self, name):
        (span,) = self.named(name)
        return span

    def trace_ids(self):
        return {f"{span.context.trace_id:032x}" for span in self.get_finished_spans()}

    def text(self):
        """Everything that would leave the process."""
        spans = self.get_finished_spans()
        return json.dumps([span.to_json() for span in spans]) + repr(
            [span.status.description for span in spans]
        )


class RaisingExporter(SpanExporter):
    """Fails in every way it can."""

    def export(self, spans):
        raise RuntimeError("canary")

    def shutdown(self):
        raise RuntimeError("canary")


class HangingExporter(SpanExporter):
    """Takes one batch and never comes back, until it is ``released``."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.released = threading.Event()

    def export(self, spans):
        self.is_asked.set()
        self.released.wait(30)
        return SpanExportResult.FAILURE

    def shutdown(self):
        self.released.wait(30)
