"""How much of the vibration turns with the shaft: unbalance, misalignment and looseness stand at its first orders.

At a steady, known speed an order is a few lines of the spectrum. Where the speed varies it smears over many: then the
signal is resampled at equal angles of the shaft, which needs a tachometer or a speed channel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge.features.velocity import mm_s_per_unit

Array = NDArray[np.float64]
ORDERS = (1, 2, 3)
SLIP = 0.02  # a configured speed is within 2 % of the real one, or the orders are not where they are sought
REVOLUTIONS = 5  # fewer, and the Hann window's lobes of neighbouring orders meet
_LOBE = 2  # lines on each side that a Hann window spreads a tone over
_MEAN_SQUARE_OF_HANN = 3.0 / 8.0


def measurable(samples: int, rate_hz: float, shaft_hz: float) -> bool:
    """True when a measurement tells the orders from each other and its rate holds the highest."""
    step_hz = rate_hz / samples
    return shaft_hz >= REVOLUTIONS * step_hz and _band(ORDERS[-1], shaft_hz, step_hz)[1] < samples // 2


def _band(order: int, shaft_hz: float, step_hz: float) -> tuple[int, int]:
    """First and last line that belong to an order."""
    low, high = order * shaft_hz * (1 - SLIP) / step_hz, order * shaft_hz * (1 + SLIP) / step_hz
    return math.floor(low) - _LOBE, math.ceil(high) + _LOBE


def order_amplitudes(lines: NDArray[np.complex128], samples: int, rate_hz: float, shaft_hz: float, unit: str) -> Array:
    """(C, n // 2 + 1) lines of the rfft -> (C, 3) RMS of the orders, in mm/s where the unit has a velocity."""
    step_hz = rate_hz / samples
    out = np.empty((len(lines), len(ORDERS)))
    for i, order in enumerate(ORDERS):
        first, last = _band(order, shaft_hz, step_hz)
        hann = lines[:, first : last + 1] * 0.5
        hann = hann - (lines[:, first - 1 : last] + lines[:, first + 1 : last + 2]) * 0.25
        hz = np.arange(first, last + 1) * step_hz
        weight = mm_s_per_unit(unit, hz)
        power = np.square(np.abs(hann) * (1.0 if weight is None else weight) / samples).sum(axis=1)
        out[:, i] = np.sqrt(power * 2.0 / _MEAN_SQUARE_OF_HANN)
    return out


def revolutions_of_pulses(pulses: NDArray[np.float32], rate_hz: float) -> tuple[Array, Array] | None:
    """Times in s and turns since the first pulse, one pulse a revolution; None without two of them.

    A pulse is where the signal rises through the middle of its range, between samples by a straight line; it counts
    again only after the signal fell below a quarter of the range, so that noise on a flank is not a second one.
    """
    x = pulses.astype(np.float64)
    low, high = float(x.min()), float(x.max())
    if not high > low:
        return None
    middle, armed_below = (low + high) / 2, low + (high - low) / 4
    rising = np.flatnonzero((x[:-1] < middle) & (x[1:] >= middle))
    if rising.size < 2:
        return None
    calm = np.concatenate([[0], np.cumsum(x < armed_below)])
    keep = np.concatenate([[True], calm[rising[1:] + 1] > calm[rising[:-1] + 1]])
    at = rising[keep]
    times = (at + (middle - x[at]) / (x[at + 1] - x[at])) / rate_hz
    return (times, np.arange(times.size, dtype=np.float64)) if times.size >= 2 else None


def revolutions_of_speed(rpm: NDArray[np.float32], rate_hz: float) -> tuple[Array, Array] | None:
    """Times in s and turns since the start, by the trapezoid rule over the speed's samples; None if it stands still."""
    speed = np.abs(rpm.astype(np.float64)) / 60.0
    if speed.size < 2 or not np.isfinite(speed).all() or not speed.min() > 0:
        return None
    turns = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / (2.0 * rate_hz))])
    return np.arange(speed.size) / rate_hz, turns


def tracked_orders(signals: Array, rate_hz: float, turning: tuple[Array, Array]) -> Array | None:
    """(C, n) samples and where the shaft was -> (C, 3) RMS of the orders; None for fewer than 5 revolutions.

    The samples are taken, by straight lines, at equal angles over whole revolutions, at least as densely as they were
    measured: high frequencies are not folded onto the orders.
    """
    times, turns = turning
    last_s = (signals.shape[1] - 1) / rate_hz
    within = times <= last_s
    end = float(np.interp(last_s, times, turns)) if not within.all() else float(turns[-1])
    revolutions = math.floor(end - turns[0] + 1e-9)
    if revolutions < REVOLUTIONS:
        return None
    slowest_hz = float((np.diff(turns) / np.diff(times)).min())
    per_turn = math.ceil(rate_hz / slowest_hz)
    if per_turn > signals.shape[1] or per_turn <= 2 * ORDERS[-1]:
        return None
    angle = np.arange(revolutions * per_turn) / per_turn
    at = np.interp(turns[0] + angle, turns, times) * rate_hz
    left = np.minimum(at.astype(np.intp), signals.shape[1] - 2)
    part = at - left
    even = signals[:, left] * (1 - part) + signals[:, left + 1] * part
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(angle.size) / angle.size)
    even = (even - even.mean(axis=1, keepdims=True)) * window
    waves = np.exp(-2j * np.pi * angle[:, None] * np.array(ORDERS))
    found: Array = np.abs(even @ waves) * math.sqrt(2.0) / window.sum()
    return found
