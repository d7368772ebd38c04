"""Cuts continuous signals into windows, whatever blocks they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from edge.sensors.recording import Reading
from edge.types import FloatArray


def windows(blocks: Iterable[dict[str, FloatArray]], rate_hz: float, samples: int) -> Iterator[Reading]:
    """Windows of `samples` one after the other; a remainder of more than half is a window too.

    All channels have one rate; those of a block may differ in length, then a shorter one is absent once it has ended.
    """
    rest: dict[str, FloatArray] = {}
    start = 0
    for block in blocks:
        rest = {n: np.concatenate([rest[n], b]) if n in rest and rest[n].size else b for n, b in block.items()}
        while rest and max(r.size for r in rest.values()) >= samples:
            yield _reading(rest, start, rate_hz, samples)
            rest = {n: r[samples:] for n, r in rest.items()}
            start += samples
    if rest and max(r.size for r in rest.values()) > samples // 2:
        yield _reading(rest, start, rate_hz, samples)


def _reading(rest: dict[str, FloatArray], start: int, rate_hz: float, samples: int) -> Reading:
    taken = {n: r[:samples] for n, r in rest.items() if r.size > samples // 2}
    return Reading(round(start * 1e9 / rate_hz), taken)
