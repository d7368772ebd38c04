"""Which fits a training run consists of: the final one, each group of machines left out, and each two groups.

A group's answers come from the fit without that group. How far to widen those answers, and where to put the thresholds,
is decided from the other groups, each answered by the fit without both: so no figure of a group was chosen
with a look at it. The final model is adjusted by the answers of the fits that left one group out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from models.history import FloatArray
from training.dataset import Dataset
from training.lives import Life
from training.prognosis.fit import Weights, answer

Groups = tuple[tuple[str, ...], ...]
Left = frozenset[int]  # numbers of the groups that a fit did not see


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model that never saw the machine says of one of its lives."""

    life: Life
    degradation: FloatArray  # (n,)
    rul_s: FloatArray  # (n, 3), without widening
    trend: FloatArray  # (n,) below 1: no estimate


def group_machines(machines: Sequence[str], most: int) -> Groups:
    """Deal the sorted machines into at most `most` groups; with few machines, one each."""
    count = min(len(machines), most)
    return tuple(tuple(sorted(machines)[i::count]) for i in range(count))


def plan(groups: Groups) -> list[Left]:
    """Return which groups each fit leaves out, the final fit (none) first."""
    numbers = range(len(groups))
    singles = [frozenset({i}) for i in numbers]
    pairs = [frozenset(pair) for pair in combinations(numbers, 2)] if len(groups) > 2 else []
    return [frozenset(), *singles, *pairs]


def lives_without(dataset: Dataset, groups: Groups, left: Left) -> tuple[Life, ...]:
    """The lives that a fit may see."""
    return dataset.of(machine for i, group in enumerate(groups) if i not in left for machine in group)


def answers_of(dataset: Dataset, groups: Groups, fits: Mapping[Left, Weights]) -> dict[tuple[int, Left], list[Answers]]:
    """For each fit and each group it did not see, its answers: {(group, left): answers}."""
    found = {}
    for left, weights in fits.items():
        for group in left:
            found[group, left] = [_ask(weights, life) for life in dataset.of(groups[group])]
    return found


def others(answers: Mapping[tuple[int, Left], list[Answers]], group: int, groups: Groups) -> list[Answers]:
    """The other groups' answers, each by the fit that saw neither it nor `group`."""
    return _flat(answers[i, frozenset({i, group})] for i in range(len(groups)) if i != group)


def left_out(answers: Mapping[tuple[int, Left], list[Answers]], groups: Groups) -> list[Answers]:
    """All groups' answers, each by the fit that saw all others."""
    return _flat(answers[i, frozenset({i})] for i in range(len(groups)))


def of_healthy(
    dataset: Dataset, groups: Groups, fits: Mapping[Left, Weights], apart: int | None = None
) -> list[Answers]:
    """What is said of windows that the crews know to be good, by fits that saw neither their machine nor group `apart`.

    Of machines of that group nothing is said.
    """
    group_of = {machine: i for i, group in enumerate(groups) for machine in group}
    found = []
    for life in dataset.healthy:
        own = group_of.get(life.machine)
        if own is None or own != apart:
            left = frozenset(i for i in (own, apart) if i is not None)
            found.append(_ask(fits[left], life))
    return found


def _ask(weights: Weights, life: Life) -> Answers:
    return Answers(life, *answer(weights, life.condition))


def _flat(lists: Iterable[list[Answers]]) -> list[Answers]:
    return [item for items in lists for item in items]
