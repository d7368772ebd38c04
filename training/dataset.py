"""From feature rows and maintenance history to what a model learns from.

Each window becomes the condition vector that the device would have seen (`models.views`), so a model is never trained
on anything that its machine could not have known at that time.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.errors import DataInsufficient
from models.views import open_view
from training.config import TrainingConfig
from training.labels import FAILED, Labels
from training.lives import Life, MachineRows, Prepared, prepare

Each = Callable[[Callable[[MachineRows], Prepared], Sequence[MachineRows]], Iterable[Prepared]]  # in order
# bits of `quality`: the device doubted its clock, so nobody knows when this was; the sensor is what the rows show
_TEACHES_NOTHING = 1 | 2


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a model learns from, machine by machine, and what was left out."""

    inputs: tuple[str, ...]  # names of the D columns
    lives: tuple[Life, ...]  # that ended in a failure, sorted by machine and time
    digest: str  # sha256 over all that is above
    left_out: tuple[str, ...]  # one sentence for each thing that was not used
    healthy: tuple[Life, ...] = ()  # windows that the crews know to be good, of lives that did not fail

    @property
    def machines(self) -> tuple[str, ...]:
        """The machines that failed, sorted, each once."""
        return tuple(sorted({life.machine for life in self.lives}))

    def of(self, machines: Iterable[str]) -> tuple[Life, ...]:
        """The lives of some machines."""
        wanted = set(machines)
        return tuple(life for life in self.lives if life.machine in wanted)


def build(features: pa.Table, labels: Labels, config: TrainingConfig, *, each: Each = map) -> Dataset:
    """Build the dataset from FEATURES rows of the lake and the crews' findings.

    `features` has the columns site, machine, channel, event_time_ns, quality and one float column per feature id.
    `each` prepares the machines, in any process. Raises `DataInsufficient`, saying what is missing.
    """
    missing = [f for f in config.features if f not in features.column_names]
    if missing or not features.num_rows:
        raise DataInsufficient(
            f"the lake holds no {', '.join(missing)}" if missing else "the lake holds no features",
            mend="connect machines with a vibration channel first",
        )
    machines = [_rows_of(site, name, rows, labels, config) for site, name, rows in by_machine(features)]
    prepared = list(each(functools.partial(prepare, config=config), machines))
    lives = [life for p in prepared for life in p.lives]
    healthy = [life for p in prepared for life in p.healthy]
    left_out = [reason for p in prepared for reason in p.left_out]
    _check(lives, labels, left_out, config)
    inputs = open_view(config.view, config.features).inputs
    return Dataset(inputs, tuple(lives), _digest([*lives, *healthy]), tuple(left_out), tuple(healthy))


def by_machine(features: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    """Yield site, machine and its rows by time and channel; without rows that teach nothing."""
    features = features.filter(pc.equal(pc.bit_wise_and(features["quality"].cast(pa.int64()), _TEACHES_NOTHING), 0))
    features = features.sort_by([(c, "ascending") for c in ("site", "machine", "event_time_ns", "channel")])
    groups = features.group_by(["site", "machine"], use_threads=False).aggregate([([], "count_all")])
    at = 0
    for group in groups.to_pylist():
        yield group["site"], group["machine"], features.slice(at, group["count_all"])
        at += group["count_all"]


def _rows_of(site: str, name: str, rows: pa.Table, labels: Labels, config: TrainingConfig) -> MachineRows:
    values = [rows[f].to_numpy(zero_copy_only=False).astype(np.float32) for f in config.features]
    return MachineRows(
        machine=f"{site}/{name}" if site else name,
        times_ns=rows["event_time_ns"].to_numpy(),
        values=np.stack(values, axis=1),
        channels=rows["channel"].to_pylist(),
        labels=labels.of(site, name),
    )


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
