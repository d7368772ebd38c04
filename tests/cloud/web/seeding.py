"""A small fleet in a real catalogue and a real lake, as a gateway would have left it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
from sqlalchemy import insert

from cloud.alerts.types import Change, Evidence, IncomingAlert
from cloud.catalogue.lake import Segment, add_segments, new_commit
from cloud.catalogue.tables import assignment, bundle, device, latest, machine
from cloud.lake.objects import new_key, sha256, to_parquet
from cloud.wiring import Cloud, open_cloud
from models.features import schema_id
from models.history import HistoryConfig
from models.manifest import Lineage, Manifest, Thresholds

S = 1_000_000_000
HOUR = 3600 * S
SITE = "works-1"
CHANNELS = [
    {"name": "horizontal", "unit": "g", "rate_hz": 25600.0, "kind": "waveform"},
    {"name": "vertical", "unit": "g", "rate_hz": 25600.0, "kind": "waveform"},
    {"name": "temperature", "unit": "C", "rate_hz": 10.0, "kind": "scalar"},
]
BUNDLE = "bearing-20250301-4f2a.fwb"
SAID = IncomingAlert(
    key="P-101/1",
    change=Change.RAISED,
    machine="P-101",
    channel="horizontal",
    event_time_ns=0,
    severity="D",
    confidence="quite_sure",
    part="bearing",
    fault="outer_race",
    source=BUNDLE,
    score=0.81,
    threshold=0.7,
    remaining_life_s=(3 * 86400.0, 5 * 86400.0, 9 * 86400.0),
    evidence=(
        Evidence(feature="envelope_bpfo@1", channel="horizontal", unit="1", value=31.2, baseline=1.4, limit=6.0),
        Evidence(feature="rms@1", channel="horizontal", unit="g", value=2.31, baseline=0.48, limit=1.12),
        Evidence(feature="kurtosis@1", channel="vertical", unit="1", value=4.1, baseline=3.02, limit=5.5),
    ),
)
UNLIKE = replace(
    SAID,
    key="F-07/1",
    machine="F-07",
    channel="vertical",
    severity="C",
    confidence="unsure",
    part="machine",
    fault="degradation",
    source="baseline",
    score=7.4,
    threshold=5.0,
    remaining_life_s=None,
    no_estimate_reason="no_model",
    evidence=SAID.evidence[1:2],
    simulated=True,
)
MANIFEST = Manifest(
    format=1,
    name=BUNDLE,
    machine_class="bearing",
    features=("rms@1",),
    feature_hash="00",
    view=HistoryConfig(),
    inputs=("rms@1:fast",),
    thresholds=Thresholds(warn=0.5, act=0.75),
    coverage="not guaranteed: 4 machines",
    lineage=Lineage(
        dataset="ab" * 32, machines=("P-102", "P-103", "P-104", "P-106"), configuration={}, seed=7, versions={}
    ),
    evaluation={
        "protocol": "leave one machine out; figures are means over machines",
        "machines": 4,
        "rul_mae_s": {"ours": 1804.2, "constant": 2111.0, "k_x_age": 2153.0},
        "rul_winkler_s": {"ours": 8120.0, "constant": 9961.0, "k_x_age": 10400.0},
        "rul_coverage": {"ours": 0.91, "constant": 0.88, "k_x_age": 0.9},
        "alarms_in_time": {"ours": 3, "rms_rule": 2},
        "alarms_missed": {"ours": 0, "rms_rule": 1},
        "by_machine": [],
    },
    parity_max_abs=2.4e-6,
)


class Fleet:
    """Writes machines, values, rows and alerts; times are ns since 1970."""

    def __init__(self, data: Path, *, now_ns: int | None = None) -> None:
        self.cloud: Cloud = open_cloud(data)
        self.now_ns = now_ns or time.time_ns()
        self._sequence = 0
        self._random = np.random.default_rng(7)

    def add_machine(self, name: str, *, line: str = "Hall 2", simulated: bool = False, site: str = SITE) -> None:
        values = {"enterprise": "demo", "site": site, "device": f"edge-{name}"}
        with self.cloud.engine.begin() as c:
            c.execute(
                insert(device).values(**values, software_version="1", running_bundle="", last_seen_ns=self.now_ns)
            )
            c.execute(
                insert(machine).values(
                    **values,
                    machine=name,
                    line=line,
                    machine_class="bearing",
                    simulated=simulated,
                    speed_rpm=1500.0,
                    channels=json.dumps(CHANNELS),
                )
            )

    def add_latest(self, name: str, values: dict[str, float], *, age_s: float = 2.0, site: str = SITE, **more) -> None:
        """`values` by `channel:metric`; keeps what is there."""
        when = self.now_ns - int(age_s * S)
        rows = [
            {
                "enterprise": "demo",
                "site": site,
                "machine": name,
                "channel": key.split(":")[0],
                "metric": key.split(":")[1],
                "value": value,
                "event_time_ns": when,
                "received_ns": when,
                "source": BUNDLE if "degradation" in key or "rul" in key else "",
                "replay": False,
            }
            | more
            for key, value in values.items()
        ]
        with self.cloud.engine.begin() as c:
            c.execute(insert(latest), rows)

    def add_rows(
        self,
        kind: str,
        name: str,
        channel: str,
        columns: dict[str, np.ndarray],
        *,
        every_s: float,
        ahead_s: float = 0.0,
        quality: int = 0,
    ) -> None:
        """One segment: the last row is now, but for a device whose clock is ahead."""
        n = len(next(iter(columns.values())))
        received = self.now_ns - (np.arange(n)[::-1] * every_s * S).astype(np.int64)
        times = received + int(ahead_s * S)
        self._sequence += n
        table = pa.table(
            {
                "device": [f"edge-{name}"] * n,
                "epoch": np.ones(n, np.int64),
                "sequence": np.arange(self._sequence, self._sequence + n),
                "machine": [name] * n,
                "channel": [channel] * n,
                "event_time_ns": times,
                "received_ns": received,
                "quality": np.full(n, quality, np.uint8),
                "replay": np.zeros(n, np.bool_),
                "source": [""] * n,
            }
            | columns
        )
        data = to_parquet(table.schema, [table])
        key = new_key("demo", SITE, kind, self.now_ns)
        self.cloud.store.put(key, data)
        segment = Segment(
            site=SITE,
            path=key,
            kind=kind,
            schema=f"{schema_id(list(columns)):016x}" if kind != "spectrum" else "",
            rows=n,
            bytes=len(data),
            sha256=sha256(data),
            first_time_ns=int(times[0]),
            last_time_ns=int(times[-1]),
            machines=(name,),
        )
        with self.cloud.engine.begin() as c:
            add_segments(c, "demo", new_commit(c, "ingest", self.now_ns), [segment])

    def add_life(self, name: str, level: float, *, hours: float = 8, rises: bool = False) -> None:
        """A machine's history: deviation, RMS, degradation, one spectrum; `level` is today's deviation."""
        n = int(hours * 360)
        ramp = np.linspace(0, 1, n) ** 6 if rises else np.zeros(n)
        noise = np.abs(self._random.normal(0.8, 0.35, n))
        deviation = (noise + ramp * level).astype(np.float32)
        rms = (0.48 * (1 + 0.02 * self._random.normal(size=n)) + ramp * 1.8).astype(np.float32)
        degradation = np.clip(0.04 + ramp * 0.8 + 0.01 * self._random.normal(size=n), 0, 1).astype(np.float32)
        self.add_rows("health", name, "", {"deviation@1": deviation}, every_s=10)
        self.add_rows("features", name, "horizontal", {"rms@1": rms, "kurtosis@1": rms + 2.5}, every_s=10)
        self.add_rows("assessment", name, "", {"degradation@1": degradation}, every_s=10)
        lines = np.abs(self._random.normal(0, 0.004, 1024)) * np.exp(-np.arange(1024) / 700)
        for harmonic in (4, 8, 12):
            lines[harmonic * 5] += 0.05 / harmonic + ramp[-1] * 0.9 / harmonic
        values = pa.array([lines.astype(np.float32).tolist()], pa.large_list(pa.float32()))
        self.add_rows(
            "spectrum", name, "horizontal", {"values": values, "step": np.array([12.5]), "scale": np.ones(1)}, every_s=1
        )

    def add_alert(self, said: IncomingAlert = SAID, *, age_s: float = 900.0) -> int:
        said = replace(said, event_time_ns=self.now_ns - int(age_s * S))
        self._sequence += 1
        return self.cloud.alerts.take(SITE, f"edge-{said.machine}", 1, self._sequence, said)

    def add_bundle(self, manifest: Manifest = MANIFEST) -> None:
        with self.cloud.engine.begin() as c:
            c.execute(
                insert(bundle).values(
                    enterprise="demo",
                    name=manifest.name,
                    machine_class="bearing",
                    sha256="c0ffee" * 10 + "c0ff",
                    bytes=61_440,
                    manifest=msgspec.json.encode(manifest).decode(),
                    published_ns=self.now_ns - 3 * HOUR,
                    state="champion",
                )
            )
            c.execute(
                insert(assignment).values(
                    enterprise="demo", machine_class="bearing", bundle=manifest.name, changed_ns=self.now_ns - 2 * HOUR
                )
            )
            c.execute(
                device.update()
                .where(device.c.device == "edge-P-101")
                .values(running_bundle=manifest.name, bundle_state="running", bundle_changed_ns=self.now_ns - 2 * HOUR)
            )


def usual_fleet(data: Path) -> Fleet:
    """P-101 must be acted on, F-07 (simulated) planned, M-12 is silent, the others are fine."""
    fleet = Fleet(data)
    for name, line in (
        ("P-101", "Hall 2"),
        ("F-07", "Roof"),
        ("M-12", "Hall 2"),
        ("C-3", "Cooling"),
        ("K-9", "Hall 1"),
    ):
        fleet.add_machine(name, line=line, simulated=name == "F-07")
    fleet.add_bundle()
    life = {":rul_p05@1": 3 * 86400.0, ":rul_p50@1": 5 * 86400.0, ":rul_p95@1": 9 * 86400.0}
    fleet.add_latest(
        "P-101",
        {
            ":deviation@1": 18.2,
            ":degradation@1": 0.81,
            "horizontal:rms@1": 2.31,
            "horizontal:kurtosis@1": 6.2,
            "temperature:level@1": 61.5,
        }
        | life,
    )
    fleet.add_latest("F-07", {":deviation@1": 7.4, "horizontal:rms@1": 0.9}, replay=True)
    fleet.add_latest("M-12", {":deviation@1": 0.7}, age_s=26 * 60)
    fleet.add_latest("C-3", {":deviation@1": 0.6, ":degradation@1": 0.05} | {k: v * 20 for k, v in life.items()})
    fleet.add_latest("K-9", {":deviation@1": 3.6})
    fleet.add_life("P-101", 18, rises=True)
    fleet.add_life("F-07", 7, rises=True)
    for name in ("M-12", "C-3", "K-9"):
        fleet.add_life(name, 2.5 if name == "K-9" else 0.0, rises=name == "K-9")
    fleet.add_alert()
    fleet.add_alert(UNLIKE, age_s=2400)
    return fleet
