"""One gateway and many devices: idle streams, agents with alarms, a flood, a second gateway, and a chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import agents, chart, flood, idle, replicas


def measure() -> dict[str, Any]:
    """Measure all of it, one after the other: some minutes."""
    return {
        "streams_10000": idle.measure(),
        "streams_mtls": idle.measure(idle.CERTIFIED, certified=True),
        "agents_1000": agents.measure(),
        "flood": flood.measure(),
        "replicas": replicas.measure(),
        "chart": chart.measure(),
    }


def pictures(figures: dict[str, Any], folder: Path) -> None:
    """Draw what is kept beside the JSON."""
    chart.draw(figures["chart"]["points"], folder / "throughput.png")


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    streams, tls = figures["streams_10000"], figures["streams_mtls"]
    alarms, beside, more = (figures[k] for k in ("agents_1000", "flood", "replicas"))
    return [
        (
            f"kB of the gateway for each of {streams['streams']} idle streams (asked {streams['asked_kb_per_stream']})",
            f"{streams['kb_per_stream']}",
        ),
        (
            f"the same with mutual TLS, {tls['streams']} streams (asked {tls['asked_kb_per_stream']})",
            f"{tls['kb_per_stream']}",
        ),
        (
            f"alarm p99 s, {alarms['alarms_delivered']} alarms of {alarms['agents']} agents "
            f"(asked {alarms['asked_p99_s']}; p50)",
            f"{alarms['p99_s']} ({alarms['p50_s']})",
        ),
        (
            f"honest devices' p50 and p99 s to stored beside a flood, {beside['answers']} answers "
            f"(alone, {beside['alone_answers']} answers)",
            f"{beside['beside_p50_s']}, {beside['beside_p99_s']} ({beside['alone_p50_s']}, {beside['alone_p99_s']})",
        ),
        (
            f"what a second gateway on one {more['catalogue']} adds, by CPU time (asked {more['asked']})",
            f"{more['added']}",
        ),
    ]
