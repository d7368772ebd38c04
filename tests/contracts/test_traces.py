"""A trace follows a batch from the device that sends it to the commit that stores it; off, nothing is imported."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloud.wiring import Cloud
from models.errors import ConfigurationError
from models.tracing import BatchName, Traces, open_traces
from tests.cloud.running import QUICK, eventually, play, running
from tests.edge.device_simulator import DeviceSimulator

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
OTLP = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"


def test_a_trace_follows_each_batch_from_the_device_to_the_commit(tmp_path: Path):
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    cloud = Cloud(tmp_path, QUICK)
    sent, stored = InMemorySpanExporter(), InMemorySpanExporter()
    device = DeviceSimulator(tmp_path / "device", [])
    device.traces = Traces("device", SimpleSpanProcessor(sent))

    async def story() -> None:
        async with running(cloud, traces=Traces("gateway", SimpleSpanProcessor(stored))) as gateway:
            device._addresses[:] = [gateway.address]
            device.append(20)
            device.append_raw(5_000)
            device.append(10, start=20)
            await asyncio.to_thread(device.connect)
            await eventually(lambda: not device.outbox.kept_bytes)
            await asyncio.to_thread(device.disconnect)

    play(story())
    names = {BatchName("demo", "demo", "dev-1", device.outbox.epoch, first).ids: first for first in (1, 21, 22)}
    roots = {s.context.trace_id: s for s in sent.get_finished_spans()}
    assert {(s.context.trace_id, s.context.span_id) for s in roots.values()} == set(names)
    assert all(s.parent is None for s in roots.values())
    for span in stored.get_finished_spans():
        root = roots.pop(span.context.trace_id)
        assert span.parent.span_id == root.context.span_id != span.context.span_id
        assert span.attributes == root.attributes
        assert span.attributes["forewarn.first_sequence"] == names[root.context.trace_id, root.context.span_id]
        assert span.start_time < span.end_time <= root.end_time, "stored before the device is told so"
    assert not roots, "each batch has both"
    device.close()
    cloud.close()


def test_without_a_collector_named_there_are_no_traces_and_nothing_is_imported(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert open_traces("forewarn") is None
    code = (
        "import sys, edge.agent, cloud.serve; from models.tracing import open_traces; assert open_traces('x') is None"
    )
    said = "sys.exit(sorted(m for m in sys.modules if m.startswith('opentelemetry')) or 0)"
    found = subprocess.run([sys.executable, "-c", f"{code}; {said}"], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")


def test_traces_that_are_asked_for_and_not_installed_are_an_error_that_says_so(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setitem(sys.modules, OTLP, None)
    with pytest.raises(ConfigurationError, match=r"forewarn\[otel\]"):
        open_traces("forewarn")


def test_a_collector_that_is_away_holds_nothing_up(monkeypatch, free_port: int):
    pytest.importorskip(OTLP)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port}")
    traces = open_traces("forewarn")
    assert traces is not None
    for first in range(1, 5_000):  # more than are kept for it
        traces.sent(BatchName("demo", "hall", "edge-1", 7, first), 1, 2)
    begin = time.monotonic()
    traces.close()
    assert time.monotonic() - begin < 20, "the library alone would take 36 s"
