"""A training's parts as tasks on a Ray cluster, machines to prepare and fits: the same as in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from training.cluster import connected
from training.lives import MachineRows, Prepared
from training.model import Say
from training.on_ray import each_on_ray
from training.prognosis.fit import Weights
from training.prognosis.folds import Left
from training.prognosis.pipeline import Job, Runner


def on_cluster(address: str, *, cpus: int = 2) -> Runner:
    """Return what runs fits on a cluster; it connects only when there is something to run."""

    def run(job: Job, say: Say) -> Iterator[tuple[Left, Weights]]:
        with connected(address, cpus=cpus, say=say):
            yield from run_on_cluster(job, say)

    return run


def run_on_cluster(job: Job, say: Say, *, deadline_s: float = 1800.0) -> Iterator[tuple[Left, Weights]]:
    """Run the fits on the connected cluster, each given as it ends; `Unavailable` at the deadline."""
    fits = each_on_ray(job.run, job.fits, task="fit", deadline_s=deadline_s)
    for number, (position, weights) in enumerate(fits, 1):
        left = job.fits[position]
        yield left, weights
        say(f"fit {number} of {len(job.fits)} on Ray: {job.describe(left)}")


def prepare_on_cluster(
    function: Callable[[MachineRows], Prepared], machines: Sequence[MachineRows]
) -> Iterable[Prepared]:
    """Prepare machines on the connected cluster; as `training.dataset.build` wants it, in order."""
    done = dict(each_on_ray(function, machines, task="machine's preparation"))
    return [done[position] for position in range(len(machines))]
