"""Faults of a sensor, seen in its samples: they must not read as a failing machine."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge.features.scalar import CELSIUS

DROPOUT, DEAD, STUCK, CLIPPED, INTERMITTENT, SPIKES = "dropout", "dead", "stuck", "clipped", "intermittent", "spikes"
_STUCK_SHARE = 0.5  # of the window in one run of equal samples
_CLIPPED_SHARE = 0.01  # of the window at one end of the range
_HEAP = 3  # a clipped end holds at least this many times the samples of the value next to it
_BLOCKS = 32  # parts of a window that are compared
_SILENT = 0.03**2  # energy of a part without contact, as a share of the middle part's
_FEWEST_LOSSES = 2  # of the contact within one window
_SHORTEST_PART = 15  # steps: of 15,000 sound windows with shorter parts (64 to 320 samples) up to 10 % seemed silent
_MOVING_SHARE = 0.3  # of the samples must differ from the one before, or the converter is too coarse to tell
_SPIKE = 20.0  # jump there and back, as a multiple of the usual step from sample to sample
_ALONE = 0.15  # what moves beside a spike, as a share of it; a strike rings on, a spike does not
_BESIDE = 5  # samples on either side
_COLDEST_C, _HOTTEST_C = -80.0, 500.0  # of anything that a thermometer on a bearing may be asked to believe


def waveform_fault(samples: NDArray[np.float32]) -> str:
    """Return the fault that a window of at least 64 samples shows, or "" for none.

    DROPOUT (not finite), DEAD (no variation), STUCK (half of it in one run), CLIPPED, INTERMITTENT (silent in parts),
    SPIKES (single samples far away from both neighbours).
    """
    top, bottom = int(samples.argmax()), int(samples.argmin())
    highest, lowest = float(samples[top]), float(samples[bottom])
    if not (math.isfinite(highest) and math.isfinite(lowest)):
        return DROPOUT
    if highest == lowest:
        return DEAD
    return _shape_fault(samples, top, bottom)


def _shape_fault(samples: NDArray[np.float32], top: int, bottom: int) -> str:
    """The faults of a window that is finite and moves; `top` and `bottom` are where it is highest and lowest."""
    highest, lowest = float(samples[top]), float(samples[bottom])
    steps = samples[1:] - samples[:-1]
    part = steps.size // _BLOCKS
    parts = steps[: part * _BLOCKS].reshape(_BLOCKS, part)
    energies = np.vecdot(parts, parts)
    ordered = sorted(energies.tolist())
    middle = ordered[_BLOCKS // 2]
    silent = ordered[1] <= _SILENT * middle
    if silent and _stuck(steps, samples.size):
        return STUCK
    if _heaped(samples, highest, above=True) or _heaped(samples, lowest, above=False):
        return CLIPPED
    if silent and _interrupted(energies, middle, steps):
        return INTERMITTENT
    usual = math.sqrt(middle / part)
    far = usual > 0 and highest - lowest > _SPIKE * usual
    return SPIKES if far and (_alone(samples, top, usual) or _alone(samples, bottom, usual)) else ""


def scalar_fault(samples: NDArray[np.float32], unit: str) -> str:
    """Return DROPOUT where a sample is not finite, or a temperature that no bearing has (1254 C is an open wire)."""
    values = samples.tolist()
    if not math.isfinite(sum(values)):
        return DROPOUT
    return DROPOUT if unit in CELSIUS and (max(values) > _HOTTEST_C or min(values) < _COLDEST_C) else ""


def _stuck(steps: NDArray[np.float32], size: int) -> bool:
    changes = np.flatnonzero(steps)
    if steps.size - changes.size + 1 < _STUCK_SHARE * size:
        return False
    runs = np.diff(np.concatenate([[-1], changes, [size - 1]]))
    return bool(runs.max() >= _STUCK_SHARE * size)


def _interrupted(energies: NDArray[np.float32], middle: float, steps: NDArray[np.float32]) -> bool:
    """True where the contact is lost more than once, and window and converter are fine enough to tell."""
    if steps.size < _SHORTEST_PART * _BLOCKS or np.count_nonzero(steps) < _MOVING_SHARE * steps.size:
        return False
    quiet = energies < _SILENT * middle
    losses = np.count_nonzero(quiet[1:] & ~quiet[:-1]) + int(quiet[0])
    return bool(losses >= _FEWEST_LOSSES)


def _alone(samples: NDArray[np.float32], at: int, usual: float) -> bool:
    """True where the sample leaves its neighbours by far and they stay where they were."""
    if not _BESIDE <= at < samples.size - _BESIDE:
        return False
    around = samples[at - _BESIDE : at + _BESIDE + 1].tolist()
    top = around.pop(_BESIDE)
    jump = min(abs(top - around[_BESIDE - 1]), abs(top - around[_BESIDE]))
    return bool(jump > _SPIKE * usual and max(around) - min(around) < _ALONE * jump)


def _heaped(samples: NDArray[np.float32], end: float, *, above: bool) -> bool:
    """True where samples heap up at an end of the range; a coarse converter's steps grow towards the middle instead."""
    at_end = samples == np.float32(end)
    count = np.count_nonzero(at_end)
    if count < _CLIPPED_SHARE * samples.size:
        return False
    inner = samples[~at_end]
    beside = inner.max() if above else inner.min()
    return bool(count >= _HEAP * np.count_nonzero(inner == beside))
