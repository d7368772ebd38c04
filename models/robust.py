"""The median, without what `numpy.median` brings with it: it imports all of numpy.ma, a megabyte on every device."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def median(values: ArrayLike, axis: int = 0) -> NDArray[Any]:
    """Half of the values along `axis` lie below it; the same numbers as `numpy.median`, NaN where one of them is."""
    ordered = np.sort(values, axis=axis)
    count = ordered.shape[axis]
    middle = (ordered.take((count - 1) // 2, axis=axis) + ordered.take(count // 2, axis=axis)) / 2
    last = ordered.take(-1, axis=axis)  # where a NaN is sorted to
    found: NDArray[Any] = np.where(np.isnan(last), last, middle)
    return found
