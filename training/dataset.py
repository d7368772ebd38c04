"""From feature rows and maintenance history to what a model learns from.

Each window becomes the condition vector that the device would have seen (`models.views`), so a model is never trained
on anything that its machine could not have known at that time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.errors import DataInsufficient
from models.views import open_view
from training.config import TrainingConfig
from training.labels import FAILED, SENSOR, Labels, degradation_target

FloatArray = NDArray[np.float32]
# bits of `quality`: the device doubted its clock, so nobody knows when this was; the sensor is what the rows show
_TEACHES_NOTHING = 1 | 2


@dataclass(frozen=True, slots=True)
class Life:
    """One machine from its healthy start to its failure; n windows, after the baseline was learned."""

    machine: str
    condition: FloatArray  # (n, D)
    age_s: NDArray[np.float64]  # (n,) since the life's first window
    rul_s: NDArray[np.float64]  # (n,) until the failure
    degradation: FloatArray  # (n,) target, 0 .. 1

    @property
    def share(self) -> NDArray[np.float64]:
        """(n,) which share of its life the machine has behind it."""
        return self.age_s / (self.age_s + self.rul_s)


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a model learns from, machine by machine, and what was left out."""

    inputs: tuple[str, ...]  # names of the D columns
    lives: tuple[Life, ...]  # sorted by machine and time
    digest: str  # sha256 over all that is above
    left_out: tuple[str, ...]  # one sentence for each thing that was not used

    @property
    def machines(self) -> tuple[str, ...]:
        """The machines, sorted, each once."""
        return tuple(sorted({life.machine for life in self.lives}))

    def of(self, machines: Iterable[str]) -> tuple[Life, ...]:
        """The lives of some machines."""
        wanted = set(machines)
        return tuple(life for life in self.lives if life.machine in wanted)


def build(features: pa.Table, labels: Labels, config: TrainingConfig) -> Dataset:
    """Build the dataset from FEATURES rows of the lake and the crews' findings.

    `features` has the columns site, machine, channel, event_time_ns, quality and one float column per feature id.
    Raises `DataInsufficient`, saying what is missing.
    """
    missing = [f for f in config.features if f not in features.column_names]
    if missing or not features.num_rows:
        raise DataInsufficient(
            f"the lake holds no {', '.join(missing)}" if missing else "the lake holds no features",
            mend="connect machines with a vibration channel first",
        )
    lives: list[Life] = []
    left_out: list[str] = []
    for site, name, rows in by_machine(features):
        lives += _lives(f"{site}/{name}" if site else name, rows, labels.of(site, name), config, left_out)
    _check(lives, labels, left_out, config)
    return Dataset(open_view(config.view, config.features).inputs, tuple(lives), _digest(lives), tuple(left_out))


def by_machine(features: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    """Yield site, machine and its rows by time and channel; without rows that teach nothing."""
    features = features.filter(pc.equal(pc.bit_wise_and(features["quality"].cast(pa.int64()), _TEACHES_NOTHING), 0))
    features = features.sort_by([(c, "ascending") for c in ("site", "machine", "event_time_ns", "channel")])
    groups = features.group_by(["site", "machine"], use_threads=False).aggregate([([], "count_all")])
    at = 0
    for group in groups.to_pylist():
        yield group["site"], group["machine"], features.slice(at, group["count_all"])
        at += group["count_all"]


def _lives(machine: str, rows: pa.Table, labels: Labels, config: TrainingConfig, left_out: list[str]) -> Iterator[Life]:
    times = rows["event_time_ns"].to_numpy()
    values = np.stack([rows[f].to_numpy(zero_copy_only=False).astype(np.float32) for f in config.features], axis=1)
    channels = rows["channel"].to_pylist()
    usable = np.isfinite(values).all(axis=1)
    if not usable.all():
        left_out.append(f"{machine}: {int((~usable).sum())} of {len(usable)} rows are not finite")
    if (broken := labels.found(times, (SENSOR,))).any():
        left_out.append(f"{machine}: {int(broken.sum())} rows in which the crew found the sensor at fault")
        usable &= ~broken
    spans = [span for span in labels.lives(times[usable]) if span.failed]
    if usable.any() and not spans:
        left_out.append(f"{machine}: no failure is known, so its end is not either")
    for span in spans:
        inside = np.flatnonzero(usable & (times >= span.begin_ns) & (times <= span.end_ns))
        life = _replay(
            machine,
            times=times,
            values=values,
            channels=channels,
            inside=inside,
            failed_ns=span.end_ns,
            config=config,
        )
        low, high = config.rul_shares
        if life is None:
            left_out.append(f"{machine}: a life with fewer than two windows after its healthy start")
        elif not ((life.share >= low) & (life.share <= high)).any():
            left_out.append(f"{machine}: no windows between {low:.0%} and {high:.0%} of a life")
        else:
            yield life


def _replay(
    machine: str,
    *,
    times: NDArray[np.int64],
    values: FloatArray,
    channels: Sequence[str],
    inside: NDArray[np.intp],
    failed_ns: int,
    config: TrainingConfig,
) -> Life | None:
    """Run the windows of one life through the model's view, in order, as the device does."""
    view = open_view(config.view, config.features)
    conditions, seen = [], []
    for window in np.split(inside, np.flatnonzero(np.diff(times[inside])) + 1):
        time_ns = int(times[window[0]])
        condition = view.update(time_ns * 1e-9, {channels[i]: values[i] for i in window})
        if condition is not None:
            conditions.append(condition)
            seen.append(time_ns)
    if len(seen) < 2:
        return None
    at = np.array(seen, np.int64)
    age: NDArray[np.float64] = (at - times[inside[0]]).astype(np.float64) * 1e-9
    rul: NDArray[np.float64] = (failed_ns - at).astype(np.float64) * 1e-9
    target = degradation_target(age / (age + rul), config.healthy_share)
    return Life(machine, np.stack(conditions), age, rul, target)


def _check(lives: list[Life], labels: Labels, left_out: list[str], config: TrainingConfig) -> None:
    machines = {life.machine for life in lives}
    failures = sum(m.event == FAILED for m in labels.history)
    if len(machines) < config.fewest_machines:
        raise DataInsufficient(
            f"{len(machines)} machines have failed with usable features before it, at least {config.fewest_machines} "
            f"are needed; {failures} failures are labelled" + "".join(f"; {reason}" for reason in left_out),
            mend="import what the crews found: forewarn label import FILE.csv; where nothing failed: --kind anomaly",
        )
    target = np.concatenate([life.degradation for life in lives])
    if not (target < 0.5).any() or not (target >= 0.5).any():
        missing = "healthy" if target.min() >= 0.5 else "worn"
        raise DataInsufficient(
            f"there is one class only: no {missing} windows in the {len(lives)} lives that ended in a failure",
            mend="check the labels' times against the machines' event times",
        )


def _digest(lives: Iterable[Life]) -> str:
    digest = hashlib.sha256()
    for life in lives:
        digest.update(life.machine.encode())
        arrays: tuple[NDArray[Any], ...] = (life.condition, life.age_s, life.rul_s, life.degradation)
        for array in arrays:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
