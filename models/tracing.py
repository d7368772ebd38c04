"""Traces of batches, from the device that sends them to the commit that stores them: the extra `otel`, off by default.

A batch's trace is named after the batch: both sides compute the same id from (enterprise, site, device, epoch, first
sequence), so nothing of it travels, and devices and gateways of any version fit each other. On when
OTEL_EXPORTER_OTLP_ENDPOINT says where traces go; the exporter and the SDK read OpenTelemetry's own variables. Off, not
even the library is imported.
"""

# ruff: noqa: PLC0415 - off, not even the library is imported
from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from models.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class BatchName:
    """Which batch: the records of one device and epoch from `first` on."""

    enterprise: str
    site: str
    device: str
    epoch: int
    first: int

    @property
    def ids(self) -> tuple[int, int]:
        """The trace's id (128 bits) and that of its first span (64 bits): BLAKE2b of the name, none of them 0."""
        text = "\0".join(map(str, (self.enterprise, self.site, self.device, self.epoch, self.first)))
        digest = blake2b(text.encode(), digest_size=24).digest()
        return int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:], "big") or 1


class Traces:
    """Says what was done with a batch, once it is done; call it in one thread."""

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        """`service` names the program to whoever looks at traces."""
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Named(RandomIdGenerator):
            """The next root span has the batch's ids; a child has its parent's trace and an id of its own."""

            root: tuple[int, int] | None = None

            def generate_trace_id(self) -> int:
                return self.root[0] if self.root else super().generate_trace_id()

            def generate_span_id(self) -> int:
                return self.root[1] if self.root else super().generate_span_id()

        self._api = trace
        self._ids = Named()
        self._provider = TracerProvider(
            id_generator=self._ids, resource=Resource.create({"service.name": service}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("forewarn")

    def sent(self, batch: BatchName, begin_ns: int, end_ns: int) -> None:
        """A device sent it at `begin_ns` and heard at `end_ns` that it is stored: the trace's first span."""
        self._ids.root = batch.ids
        try:
            span = self._tracer.start_span("batch delivered", start_time=begin_ns, attributes=_attributes(batch))
        finally:
            self._ids.root = None
        span.end(end_ns)

    def stored(self, batch: BatchName, begin_ns: int, end_ns: int) -> None:
        """A gateway took it at `begin_ns`, and the commit that stores it has ended at `end_ns`."""
        api, (trace_id, span_id) = self._api, batch.ids
        first = api.SpanContext(trace_id, span_id, is_remote=True, trace_flags=api.TraceFlags(api.TraceFlags.SAMPLED))
        parent = api.set_span_in_context(api.NonRecordingSpan(first))
        name = "batch stored"
        self._tracer.start_span(name, parent, start_time=begin_ns, attributes=_attributes(batch)).end(end_ns)

    def close(self) -> None:
        """Send what waits, within two seconds: the library's own limits are longer than a process may take to end."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(_CLOSE_S)


def _attributes(batch: BatchName) -> dict[str, str | int]:
    return {
        "forewarn.enterprise": batch.enterprise,
        "forewarn.site": batch.site,
        "forewarn.device": batch.device,
        "forewarn.epoch": batch.epoch,
        "forewarn.first_sequence": batch.first,
    }


def open_traces(service: str) -> Traces | None:
    """Traces to where the environment says; None where it says nothing. ConfigurationError without the extra `otel`."""
    if not os.environ.get(_ENDPOINT):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as e:
        raise ConfigurationError(
            f"traces cannot be sent: {e}", where=_ENDPOINT, mend="pip install 'forewarn[otel]', or unset the variable"
        ) from e
    return Traces(service, BatchSpanProcessor(OTLPSpanExporter()))
