"""A bearing's temperature follows load and surroundings; what they do not explain is the bearing's own.

What they explain is learned once, from the machine's healthy start, by least squares, and does not follow the machine
into its fault. Outside the loads and surroundings that were learned nothing is said.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.features.scalar import CELSIUS
from edge.types import Channel, ChannelKind, Machine

WINDOWS = 60  # of the healthy start
_MARGIN = 0.2  # of the range learned: how far beyond it the straight line may be followed


def explaining(machine: Machine) -> tuple[str, ...]:
    """The slow channels that explain a temperature: those with `load` or `ambient` in their names."""
    slow = (c.name for c in machine.channels if c.kind is ChannelKind.SCALAR)
    return tuple(n for n in slow if "load" in n.lower() or "ambient" in n.lower())


def is_explained(channel: Channel, explaining_names: tuple[str, ...]) -> bool:
    """Whether a channel is a temperature that something explains."""
    return bool(explaining_names) and channel.unit in CELSIUS and channel.name not in explaining_names


class Residual:
    """The residual of one temperature channel."""

    def __init__(self, causes: tuple[str, ...]) -> None:
        self._names = list(causes)
        self._start: list[list[float]] = []
        self._weights: np.ndarray | None = None
        self._low = self._high = np.empty(0)

    def update(self, level: float, causes: list[float]) -> float | None:
        """Take one window's level and what explains it; None while learning, and outside what was learned."""
        if self._weights is None:
            self._start.append([level, *causes])
            if len(self._start) == WINDOWS:
                self._learn()
            return None
        now = np.array(causes)
        if ((now < self._low) | (now > self._high)).any():
            return None
        return level - float(self._weights @ np.array([1.0, *causes]))

    def _learn(self) -> None:
        table = np.array(self._start)
        centre = table.mean(axis=0)
        moved = table - centre
        slopes = np.linalg.lstsq(moved[:, 1:], moved[:, 0], rcond=1e-9)[0]  # a cause that stood still gets no slope
        self._weights = np.concatenate([[centre[0] - slopes @ centre[1:]], slopes])
        low, high = table[:, 1:].min(axis=0), table[:, 1:].max(axis=0)
        self._low, self._high = low - _MARGIN * (high - low), high + _MARGIN * (high - low)
        self._start = []

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, for JSON."""
        weights = None if self._weights is None else self._weights.tolist()
        bounds = {"low": self._low.tolist(), "high": self._high.tolist()}
        return {"causes": self._names, "start": self._start, "weights": weights, **bounds}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; what other causes explained is learned anew."""
        if state["causes"] != self._names:
            return
        self._start = state["start"]
        self._weights = None if state["weights"] is None else np.array(state["weights"])
        self._low, self._high = np.array(state["low"]), np.array(state["high"])
