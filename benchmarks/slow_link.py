"""Alerts and live windows behind a full backlog on a link of 8 kB/s: how long after their append a gateway has them.

The outbox and the uplink are the agent's own, the gateway a process, the link a proxy of that rate. The floor, in the
same run, is the same alert over the same link without a backlog. Beside one alert at a time: sixteen at once, and
alerts behind raw snapshots of 131 kB, which keep the link busy for 16 s each.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from benchmarks import backlog
from benchmarks.load import gateway
from cloud.catalogue.tables import alert
from cloud.wiring import Cloud, open_cloud
from edge import wire
from edge.uplink import Deadlines
from tests.edge.device_simulator import DeviceSimulator, alarm
from tests.edge.slow_link import SlowLink

RATE = 8_000  # bytes/s, both ways
HOURS = 12.0  # of backlog: at this rate more than the run lasts
ALERTS, FLOOR_ALERTS = 24, 8
PAUSE_S = (2.0, 4.0)  # between alerts, drawn evenly
TOGETHER = 16  # alerts at once
WARM_S = 3.0  # before the first alert
DEADLINE_S = 60.0


def measure(alerts: int = ALERTS) -> dict[str, Any]:
    """Seconds of alerts and live windows behind a backlog, of many alerts at once, behind raw snapshots, and alone."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address, _ = stack.enter_context(gateway(folder / "cloud"))
        link = SlowLink(int(address.rpartition(":")[2]), RATE, buffer=None)
        stack.callback(link.close)
        cloud = open_cloud(folder / "cloud")
        (folder / "empty").mkdir()
        floor, _ = _alerts(cloud, folder / "empty", "floor", link.address, FLOOR_ALERTS)
        backlog.fill(folder / "full", HOURS, first=1)
        behind, left = _alerts(cloud, folder / "full", "behind", link.address, alerts)
        together, _ = _alerts(cloud, folder / "full", "together", link.address, TOGETHER, at_once=TOGETHER)
        backlog.fill(folder / "raw", 1.0)
        raw, _ = _alerts(cloud, folder / "raw", "raw", link.address, FLOOR_ALERTS)
        live = _live(cloud)
    return {
        "link_bytes_per_s": RATE,
        "backlog_left_mb": round(left / 1e6, 1),
        "alert_s": _summary(behind),
        "alert_floor_s": _summary(floor),
        "alert_together_s": _summary(together),
        "alert_behind_snapshots_s": _summary(raw),
        "live_window_s": _summary(live),
    }


def _alerts(
    cloud: Cloud, store: Path, name: str, address: str, count: int, *, at_once: int = 1
) -> tuple[list[float], int]:
    """Raise alerts at drawn moments, with a window a second beside; (seconds until committed, bytes still kept)."""
    device = DeviceSimulator(store, [address], name=store.name)
    device.deadlines = Deadlines()
    drawn = random.Random(3)
    device.connect()
    begin = time.monotonic()
    raised: dict[str, int] = {}
    next_alert, next_window = begin + WARM_S, begin
    while len(raised) < count:
        now = time.monotonic()
        if now >= next_window:
            next_window += 1.0
            device.outbox.append(wire.pack(backlog.window(1, time.time_ns()), replay=False), backlog.SCHEMAS)
        if now >= next_alert:
            next_alert = now + drawn.uniform(*PAUSE_S)
            keys = [f"{name}/{len(raised) + n}" for n in range(at_once)]
            raised |= dict.fromkeys(keys, time.time_ns())
            said = [replace(alarm(key), time_ns=raised[key]) for key in keys]
            device.outbox.append([wire.alert_parcel(s, replay=False, simulated=False) for s in said])
        time.sleep(0.01)
    arrived: dict[str, int] = {}

    def all_there() -> bool:
        with cloud.engine.connect() as connection:
            arrived.update({r.key: r.received_ns for r in connection.execute(select(alert.c.key, alert.c.received_ns))})
        return raised.keys() <= arrived.keys()

    _until(all_there)
    left = device.outbox.kept_bytes
    device.close()
    return [(arrived[key] - at) / 1e9 for key, at in raised.items()], left


def _live(cloud: Cloud) -> list[float]:
    """How long live windows took to the gateway; those of the backlog bear an older time."""
    table = cloud.lake.rows("features", columns=["event_time_ns", "received_ns", "device"]).to_pydict()
    events, received = (np.array(table[name]) for name in ("event_time_ns", "received_ns"))
    live = (np.array(table["device"]) == "full") & (events > time.time_ns() - 3600 * 10**9)
    return ((received[live] - events[live]) / 1e9).tolist()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, "not all alerts arrived"
        time.sleep(0.1)


def _summary(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.quantile(seconds, (0.5, 0.99))
    return {"n": len(seconds), "p50": round(p50, 2), "p99": round(p99, 2), "most": round(max(seconds), 2)}


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""

    def line(name: str) -> str:
        s = figures[name]
        return f"{s['p50']}, {s['p99']}, {s['most']}"

    count = figures["alert_s"]["n"]
    return [
        (f"s until an alert is committed behind a backlog at 8 kB/s: p50, p99, most of {count}", line("alert_s")),
        ("the same without a backlog", line("alert_floor_s")),
        (f"the same of {TOGETHER} alerts at once behind the backlog", line("alert_together_s")),
        ("the same behind two raw snapshots of 131 kB, one record each", line("alert_behind_snapshots_s")),
        ("s until a live window is received behind a backlog at 8 kB/s: p50, p99, most", line("live_window_s")),
    ]
