"""How sure a count is: exact 95 % intervals of a rate and of a share, for counts so small that no formula is near."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_TAIL = 0.025


def poisson_interval(count: int) -> tuple[float, float]:
    """Garwood's exact two-sided 95 % interval of a Poisson mean, by bisection."""
    low = _solve(lambda m: 1.0 - _at_most(count - 1, m) - _TAIL, 0.0, count + 1.0) if count else 0.0
    return low, _solve(lambda m: _TAIL - _at_most(count, m), float(count), 2.0 * count + 20.0)


def binomial_interval(hits: int, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's exact two-sided 95 % interval of a share; (0, 1) where nothing was tried."""
    low = _solve(lambda p: 1.0 - _fewer(hits, trials, p) - _TAIL, 0.0, 1.0) if hits else 0.0
    high = _solve(lambda p: _TAIL - _fewer(hits + 1, trials, p), 0.0, 1.0) if hits < trials else 1.0
    return low, high


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """A 95 % interval of the median of what the values were drawn from, whatever its distribution; None below 6 values.

    Two of the values themselves: so many lie below the median as heads fall in tosses of a coin (Conover 1999, 3.2).
    """
    ordered, trials = sorted(values), len(values)
    if _fewer(1, trials, 0.5) > _TAIL:
        return None
    inner = 0
    while _fewer(inner + 2, trials, 0.5) <= _TAIL:
        inner += 1
    return ordered[inner], ordered[trials - 1 - inner]


def _at_most(count: int, mean: float) -> float:
    terms = (math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1)) if mean > 0 else (1.0,)
    return sum(terms)


def _fewer(hits: int, trials: int, share: float) -> float:
    """P(X < hits) of a binomial."""
    return sum(math.comb(trials, k) * share**k * (1.0 - share) ** (trials - k) for k in range(hits))


def _solve(rising: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(100):
        middle = (low + high) / 2.0
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2.0
