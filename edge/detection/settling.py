"""What a machine does on its first days and then leaves again belongs to its normal life; what stays does not.

A temperature that follows the day, or a load that nobody measures, moves features up and down again. A failing machine
moves up and stays. So only an excursion that was halved afterwards widens the normal spread; a slow steady rise never
does. Nothing is learned from less than a day: an accelerated life may be over within hours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK_NS = 3_600_000_000_000
FIRST_BLOCKS, LAST_BLOCKS = 24, 96  # hours of running after which the spread is learned, and after which it stands
_FEWEST = 20  # windows that make a block
_WIDEST = 0.25  # standard deviation in logarithms that may be learned; 5 of them are a factor of 3.5
_SHARE = 3.0  # an excursion that came back counts as so many standard deviations


class Settling:
    """The hourly means of one channel's distance from its baselines, until the first days are over."""

    def __init__(self, width: int) -> None:
        self._sum = np.zeros(width)
        self._count = 0
        self._hour = -1
        self._blocks: list[list[float]] = []
        self.done = False

    def update(self, time_ns: int, distance: Array) -> Array | None:
        """Take one window's distance in logarithms; return the spread (width,) whenever it was learned anew."""
        hour = time_ns // BLOCK_NS
        learned = None
        if hour != self._hour:
            learned = self._close() if self._count >= _FEWEST else None
            self._hour, self._sum, self._count = hour, np.zeros(distance.size), 0
        self._sum += distance
        self._count += 1
        return learned

    def _close(self) -> Array | None:
        self._blocks.append((self._sum / self._count).tolist())
        if len(self._blocks) < FIRST_BLOCKS:
            return None
        blocks = np.array(self._blocks)
        if len(self._blocks) >= LAST_BLOCKS:
            self.done, self._blocks = True, []
        return spread_of_returns(blocks)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, for JSON."""
        return {"sum": self._sum.tolist(), "count": self._count, "hour": self._hour, "blocks": self._blocks}

    def restore(self, state: dict[str, Any], *, done: bool) -> None:
        """Go on where `state` was taken."""
        self._sum, self._count, self._hour = _array(state["sum"]), state["count"], state["hour"]
        self._blocks, self.done = [_array(b).tolist() for b in state["blocks"]], done


def spread_of_returns(blocks: Array) -> Array:
    """(n, width) hourly distances -> (width,) standard deviations: the highest that was later halved, over three."""
    later = np.minimum.accumulate(blocks[::-1], axis=0)[::-1]
    returned = np.where(later[1:] <= blocks[:-1] / 2.0, blocks[:-1], 0.0).max(axis=0)
    spread: Array = np.clip(returned / _SHARE, 0.0, _WIDEST)
    return spread


def _array(values: list[float | None]) -> Array:
    return np.array([np.nan if v is None else v for v in values])
