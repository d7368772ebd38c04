"""What a gateway counts, for Prometheus: every leg of a record's way, so that a loss of speed shows where it happens.

Counters begin at zero with the process. What must be exact is in the catalogue (`forewarn lake ledger`), not here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from cloud.gateway.records import Kind
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from cloud.gateway.budget import Budget

_BYTES = (1e3, 1e4, 1e5, 1e6, 4e6, 8e6, 16e6, 64e6)
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One gateway's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.received = Counter(
            "forewarn_records_received", "Records that came, resends included", ["kind"], registry=registry
        )
        self.received_bytes = Counter("forewarn_received_bytes", "Bytes of batches that came", registry=registry)
        self.known = Counter(
            "forewarn_records_known", "Records that came again: stored already or on their way", registry=registry
        )
        self.rejected = Counter(
            "forewarn_records_rejected", "Records put into quarantine, by reason", ["reason"], registry=registry
        )
        self.stored = Counter("forewarn_records_stored", "Records committed to the lake", ["kind"], registry=registry)
        self.sent = Counter(
            "forewarn_acknowledgements_sent", "Acknowledgements sent to devices, `stored` or not", registry=registry
        )
        self.alerts = Counter("forewarn_alerts_taken", "Changes of alarms taken", registry=registry)
        self.segment_bytes = Histogram(
            "forewarn_segment_bytes", "Size of a stored segment", ["kind"], buckets=_BYTES, registry=registry
        )
        self.put_seconds = Histogram(
            "forewarn_put_seconds", "Time to put a segment into the store", buckets=_SECONDS, registry=registry
        )
        self.commit_seconds = Histogram(
            "forewarn_commit_seconds", "Time of a commit in the catalogue", buckets=_SECONDS, registry=registry
        )
        self.retries = Counter(
            "forewarn_store_retries", "Attempts that store or catalogue refused for now", registry=registry
        )
        self.sessions = Gauge("forewarn_sessions", "Devices' streams that are open", registry=registry)
        self.fenced = Counter("forewarn_sessions_fenced", "Open streams that a newer Hello ended", registry=registry)
        self.cloned = Counter(
            "forewarn_cloned_devices", "Times that two holders were seen to share one identity", registry=registry
        )
        self.memory = Gauge("forewarn_memory_bytes", "Records that wait for their segment", registry=registry)
        self.memory_limit = Gauge("forewarn_memory_limit_bytes", "How much may wait (pending_bytes)", registry=registry)

        self._received = {int(kind): self.received.labels(kind.label) for kind in Kind}
        self._unknown = self.received.labels("unknown")

    def took(self, kind: int, records: int, size: int) -> None:
        """Count one batch that came."""
        self._received.get(kind, self._unknown).inc(records)
        self.received_bytes.inc(size)

    def watch(self, budget: Budget, limit: int) -> None:
        """Read the memory budget whenever somebody asks."""
        self.memory.set_function(lambda: budget.used)
        self.memory_limit.set(limit)

    @contextmanager
    def timed(self, histogram: Histogram) -> Iterator[None]:
        """Observe how long the block took, also when it fails."""
        begun_s = time.perf_counter()
        try:
            yield
        finally:
            histogram.observe(time.perf_counter() - begun_s)


class MetricsServer:
    """Answers Prometheus on an address of its own, which is best a loopback one: it asks nobody who they are."""

    def __init__(self, metrics: Metrics, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            self._server, self._thread = start_http_server(int(port), host, registry=metrics.registry)
        except (OSError, ValueError) as e:
            raise ConfigurationError(f"cannot answer at {address}: {e}", mend="give another `metrics` address") from e
        self.address = f"http://{host}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
