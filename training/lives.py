"""One machine's rows to its lives: each window becomes the condition vector that the device would have seen then.

A machine's work depends on no other's, so it is done anywhere: in this process, or as a task on a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.history import FloatArray
from models.views import open_view
from training.config import TrainingConfig
from training.labels import SENSOR, Labels, Span, degradation_target

_LATEST = 0.99  # share of a life up to which a crew's word keeps its degradation at 0


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a machine after its healthy start: n windows."""

    machine: str
    condition: FloatArray  # (n, D)
    age_s: NDArray[np.float64]  # (n,) since the life's first window
    rul_s: NDArray[np.float64]  # (n,) until the failure; infinite where the end is not known
    degradation: FloatArray  # (n,) target, 0 .. 1

    @property
    def share(self) -> NDArray[np.float64]:
        """(n,) which share of its life the machine has behind it; 0 where the end is not known."""
        return self.age_s / (self.age_s + self.rul_s)


@dataclass(frozen=True, slots=True)
class MachineRows:
    """What is stored of one machine, r rows by time and channel, and what the crews found of it."""

    machine: str
    times_ns: NDArray[np.int64]  # (r,)
    values: FloatArray  # (r, F)
    channels: Sequence[str]
    labels: Labels


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one machine teaches."""

    lives: Sequence[Life]  # that ended in a failure
    healthy: Sequence[Life]  # windows that the crew knows to be good, of lives that did not
    left_out: Sequence[str]  # one sentence for each thing that was not used


def prepare(rows: MachineRows, config: TrainingConfig) -> Prepared:
    """Cut a machine's rows into lives and replay them through the model's view."""
    left_out: list[str] = []
    usable = np.asarray(np.isfinite(rows.values).all(axis=1))
    if not usable.all():
        left_out.append(f"{rows.machine}: {int((~usable).sum())} of {len(usable)} rows are not finite")
    if (broken := rows.labels.found(rows.times_ns, (SENSOR,))).any():
        left_out.append(f"{rows.machine}: {int(broken.sum())} rows in which the crew found the sensor at fault")
        usable &= ~broken
    spans = rows.labels.lives(rows.times_ns[usable])
    failed = [_failed(rows, usable, span, config, left_out) for span in spans if span.failed]
    sound = [_healthy(rows, usable, span, config) for span in spans if not span.failed]
    healthy = [life for life in sound if life is not None]
    if spans and not failed and not healthy:
        left_out.append(f"{rows.machine}: no failure is known, so its end is not either")
    return Prepared([life for life in failed if life is not None], healthy, left_out)


def _failed(
    rows: MachineRows, usable: NDArray[np.bool_], span: Span, config: TrainingConfig, left_out: list[str]
) -> Life | None:
    """A life that ended in a failure: worn from its healthy share on, or from where the crew last found it good."""
    replayed = _replay(rows, usable, span, config)
    if replayed is None:
        left_out.append(f"{rows.machine}: a life with fewer than two windows after its healthy start")
        return None
    times, life = replayed
    life = replace(life, rul_s=(span.end_ns - times).astype(np.float64) * 1e-9)
    low, high = config.rul_shares
    if not ((life.share >= low) & (life.share <= high)).any():
        left_out.append(f"{rows.machine}: no windows between {low:.0%} and {high:.0%} of a life")
        return None
    good = life.share[rows.labels.good(times, span)]
    sound = min(max(config.healthy_share, float(good.max(initial=0.0))), _LATEST)
    return replace(life, degradation=degradation_target(life.share, sound))


def _healthy(rows: MachineRows, usable: NDArray[np.bool_], span: Span, config: TrainingConfig) -> Life | None:
    """The windows of a life without a failure that the crew knows to be good."""
    replayed = _replay(rows, usable, span, config)
    if replayed is None:
        return None
    times, life = replayed
    good = rows.labels.good(times, span)
    if not good.any():
        return None
    return replace(
        life,
        condition=life.condition[good],
        age_s=life.age_s[good],
        rul_s=life.rul_s[good],
        degradation=life.degradation[good],
    )


def _replay(
    rows: MachineRows, usable: NDArray[np.bool_], span: Span, config: TrainingConfig
) -> tuple[NDArray[np.int64], Life] | None:
    """Run the windows of one life through the view, as the device does: their times (n,), and a life without an end."""
    times = rows.times_ns
    inside = np.flatnonzero(usable & (times >= span.begin_ns) & (times <= span.end_ns))
    view = open_view(config.view, config.features)
    conditions, seen = [], []
    for window in np.split(inside, np.flatnonzero(np.diff(times[inside])) + 1):
        time_ns = int(times[window[0]])
        condition = view.update(time_ns * 1e-9, {rows.channels[i]: rows.values[i] for i in window})
        if condition is not None:
            conditions.append(condition)
            seen.append(time_ns)
    if len(seen) < 2:
        return None
    at = np.array(seen, np.int64)
    age: NDArray[np.float64] = (at - times[inside[0]]).astype(np.float64) * 1e-9
    endless, sound = np.full(len(at), np.inf), np.zeros(len(at), np.float32)
    return at, Life(rows.machine, np.stack(conditions), age, endless, sound)
