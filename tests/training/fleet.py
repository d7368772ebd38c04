"""A small fleet of made-up feature rows: healthy noise, then growth in the last part of a life."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from models.features import WAVEFORM
from training.config import TrainingConfig
from training.labels import FAILED, Labels, Maintenance

START_NS = 1_700_000_000_000_000_000
EVERY_NS = 60_000_000_000
FEATURES = tuple(spec.id for spec in WAVEFORM)
LIVES = {"M1": 150, "M2": 240, "M3": 190, "M4": 300}  # windows
SMALL = TrainingConfig(steps=120, rows_per_life=80)


def rows_of(machine: str, windows: int, *, seed: int, site: str = "demo", channels: int = 2) -> pa.Table:
    """Rows of one life: the amplitudes grow fivefold over the last 45 % of it."""
    random = np.random.default_rng(seed)
    share = np.arange(windows) / windows
    growth = 1.0 + 4.0 * np.clip((share - 0.55) / 0.45, 0.0, 1.0)
    times = START_NS + np.arange(windows) * EVERY_NS
    columns: dict[str, list[object]] = {name: [] for name in ("site", "machine", "channel", "event_time_ns", "quality")}
    values = []
    for c in range(channels):
        columns["site"] += [site] * windows
        columns["machine"] += [machine] * windows
        columns["channel"] += [f"ch{c}"] * windows
        columns["event_time_ns"] += times.tolist()
        columns["quality"] += [0] * windows
        level = np.exp(0.05 * random.standard_normal((windows, len(FEATURES))))
        values.append((level * growth[:, None]).astype(np.float32))
    stacked = np.concatenate(values)
    table = pa.table({**columns, **{f: stacked[:, i] for i, f in enumerate(FEATURES)}})
    return table.set_column(table.column_names.index("quality"), "quality", table["quality"].cast(pa.uint8()))


def failed(machine: str, windows: int, site: str = "demo") -> Maintenance:
    """The failure at the end of `rows_of`."""
    return Maintenance(START_NS + (windows - 1) * EVERY_NS, machine, FAILED, site)


def fleet_rows(lives: Mapping[str, int] = LIVES) -> pa.Table:
    """The rows of a fleet; the order is none in particular."""
    table = pa.concat_tables([rows_of(m, n, seed=i) for i, (m, n) in enumerate(lives.items())])
    return table.take(np.random.default_rng(1).permutation(table.num_rows))


def fleet_labels(lives: Mapping[str, int] = LIVES) -> Labels:
    """Every machine of the fleet failed."""
    return Labels([failed(m, n) for m, n in lives.items()])
