from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cloud.config import CloudConfig
from cloud.wiring import Cloud
from models.errors import DataInsufficient, ForewarnError, Unavailable
from tests.cloud.lake.filling import fill
from tests.training.fleet import SMALL, fleet_labels, fleet_rows
from training.cluster import _knock
from training.dataset import Dataset, build
from training.prognosis.fit import Weights
from training.prognosis.folds import Left, group_machines, plan
from training.prognosis.on_ray import on_cluster, prepare_on_cluster, run_on_cluster
from training.prognosis.pipeline import Job, Trained, train

QUICK = msgspec.structs.replace(SMALL, steps=2)
pytestmark = pytest.mark.timeout(300)  # a busy machine starts Ray slowly
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DiesOnce(Job):
    """The first worker that is given the final fit is killed in the middle of it."""

    mark: Path

    def run(self, left: Left) -> Weights:
        """Die, once."""
        if not left and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), 9)
        return super(DiesOnce, self).run(left)


@dataclass(frozen=True, slots=True)
class Hangs(Job):
    """No fit ever ends."""

    def run(self, left: Left) -> Weights:
        """Wait for nothing."""
        threading.Event().wait()
        return {}


@dataclass(frozen=True, slots=True)
class Fails(Job):
    """Every fit raises."""

    def run(self, left: Left) -> Weights:
        """Raise."""
        raise DataInsufficient("nothing to learn from")


def same(one: Mapping[Left, Weights], other: Mapping[Left, Weights]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[left][name], other[left][name]) for left in one for name in one[left]
    )


@pytest.fixture
def parts(dataset: Dataset) -> tuple[object, ...]:
    groups = group_machines(dataset.machines, 8)
    return dataset, groups, plan(groups)[:5], QUICK, 3


def test_a_cluster_gives_the_same_bytes_as_this_process(ray_cluster: str, dataset: Dataset, trained: Trained) -> None:
    lines: list[str] = []
    made = train(dataset, SMALL, seed=3, run=on_cluster(ray_cluster), say=lines.append)
    assert made.onnx == trained.onnx
    assert made.evaluation == trained.evaluation
    assert sum(" on Ray: " in line for line in lines) == 11


def test_machines_are_prepared_on_a_cluster_as_in_this_process(ray_cluster: str, dataset: Dataset) -> None:
    made = build(fleet_rows(), fleet_labels(), SMALL, each=prepare_on_cluster)
    assert made.digest == dataset.digest
    assert made.machines == dataset.machines


def test_a_fit_whose_worker_is_killed_runs_again(
    ray_cluster: str, parts: tuple[object, ...], quiet: Say, tmp_path: Path
) -> None:
    mark = tmp_path / "died"
    done = dict(run_on_cluster(DiesOnce(*parts, mark), quiet, deadline_s=60))
    assert mark.exists()
    plain = Job(*parts)
    assert same(done, {left: plain.run(left) for left in plain.fits})


def test_a_cluster_that_does_not_end_is_given_up_at_the_deadline_and_serves_on(
    ray_cluster: str, parts: tuple[object, ...], quiet: Say
) -> None:
    with pytest.raises(Unavailable, match="5 of 5 fits did not end within 1 s"):
        dict(run_on_cluster(Hangs(*parts), quiet, deadline_s=1))
    assert len(dict(run_on_cluster(Job(*parts), quiet, deadline_s=60))) == 5


def test_an_error_in_a_fit_is_said_and_not_tried_again(ray_cluster: str, parts: tuple[object, ...], quiet: Say) -> None:
    with pytest.raises(ForewarnError, match="nothing to learn from"):
        dict(run_on_cluster(Fails(*parts), quiet, deadline_s=60))


def test_a_cluster_that_nobody_serves_is_said_at_once(free_port: int) -> None:
    with pytest.raises(Unavailable, match=r"no Ray cluster answers.*--ray off"):
        _knock(f"127.0.0.1:{free_port}")


def test_ray_data_counts_the_rows_of_the_lakes_folder(ray_cluster: str, tmp_path: Path) -> None:
    import ray.data

    cloud = Cloud(tmp_path, CloudConfig())
    for n in range(3):
        fill(cloud, 1 + 10 * n, 10)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.read_parquet(str(tmp_path / "store/lake/enterprise=demo/site=hall/kind=features"))
    assert rows.count() == cloud.lake.rows("features").num_rows == 30
    cloud.close()
