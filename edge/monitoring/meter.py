"""What the agent counts of itself, in the text format that Prometheus reads.

By hand, because a client library would cost memory on every device; docs/decisions has the figures. Names and labels
are bounded: a reason that carries a number never becomes a label.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable

_METRICS = {  # name: (type, help)
    "windows_total": ("counter", "Windows taken."),
    "records_total": ("counter", "Records produced, by kind."),
    "alarms_total": ("counter", "Changes of alarms."),
    "last_window_timestamp_seconds": ("gauge", "When the last window was taken, by the device's clock."),
    "sent_records_total": ("counter", "Records written to a gateway, repetitions included."),
    "received_records_total": ("counter", "Records that a gateway has taken into memory."),
    "stored_records_total": ("counter", "Records that the cloud has stored for good, as told while connected."),
    "rejected_records_total": ("counter", "Records that the cloud keeps in quarantine."),
    "dropped_records_total": ("counter", "Records that will never reach the cloud."),
    "flight_windows_total": ("counter", "Windows of the flight recorder that the crew asked for."),
    "kept_bytes": ("gauge", "Bytes in the outbox."),
    "quota_bytes": ("gauge", "Bytes that the outbox may have."),
    "clock_suspect": ("gauge", "1 while the device's clock is in doubt: the times of live records are flagged."),
    "connected": ("gauge", "1 while a gateway has welcomed this device."),
    "model_info": ("gauge", "1 for the model in use."),
}
_DECISION = "decision_seconds"
_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
Labels = tuple[tuple[str, str], ...]


class Meter:
    """Counters and gauges; any thread may call anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {name: {} for name in _METRICS}
        self._gauges: dict[str, Callable[[], dict[Labels, float]]] = {}
        self._decided: dict[str, list[int]] = {}
        self._decided_s: dict[str, float] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Count up."""
        with self._lock:
            key = tuple(labels.items())
            values = self._values[name]
            values[key] = values.get(key, 0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._values[name][tuple(labels.items())] = value

    def ask(self, name: str, gauge: Callable[[], dict[Labels, float]]) -> None:
        """Have a gauge asked for when it is read."""
        self._gauges[name] = gauge

    def decided(self, machine: str, seconds: float) -> None:
        """One window was judged, so long after it was there."""
        with self._lock:
            counts = self._decided.setdefault(machine, [0] * (len(_BUCKETS_S) + 1))
            counts[bisect_left(_BUCKETS_S, seconds)] += 1
            self._decided_s[machine] = self._decided_s.get(machine, 0.0) + seconds

    def text(self) -> str:
        """Everything, as version 0.0.4 of the text format."""
        asked = {name: gauge() for name, gauge in self._gauges.items()}
        lines: list[str] = []
        with self._lock:
            for name, (kind, words) in _METRICS.items():
                values = self._values[name] | asked.get(name, {})
                lines += _head(name, kind, words)
                lines += [_line(name, labels, value) for labels, value in values.items()]
            lines += _head(_DECISION, "histogram", "From a window's arrival to its judgement.")
            for machine, counts in self._decided.items():
                lines += self._histogram(machine, counts)
        return "\n".join(lines) + "\n"

    def _histogram(self, machine: str, counts: list[int]) -> list[str]:
        label = ("machine", machine)
        total, lines = 0, []
        for bound, count in zip((*map(str, _BUCKETS_S), "+Inf"), counts, strict=True):
            total += count
            lines.append(_line(f"{_DECISION}_bucket", (label, ("le", bound)), total))
        lines.append(_line(f"{_DECISION}_sum", (label,), self._decided_s[machine]))
        lines.append(_line(f"{_DECISION}_count", (label,), total))
        return lines


def _head(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP forewarn_{name} {words}", f"# TYPE forewarn_{name} {kind}"]


def _line(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{k}="{_escaped(v)}"' for k, v in labels)
    return f"forewarn_{name}{{{inner}}} {value:.15g}" if inner else f"forewarn_{name} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
