from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from tests.training.fleet import SMALL
from training.dataset import Dataset
from training.prognosis.fit import Weights, answer, fit
from training.repeatable import repeatable

QUICK = msgspec.structs.replace(SMALL, steps=20)


@pytest.fixture(scope="module")
def weights(dataset: Dataset) -> Weights:
    return fit(dataset.lives, QUICK, seed=5)


def test_the_same_seed_gives_the_same_weights_whatever_happened_before(dataset: Dataset, weights: Weights) -> None:
    torch.rand(17)
    again = fit(dataset.lives, QUICK, seed=5)
    assert all(np.array_equal(again[name], weights[name]) for name in weights)


def test_another_seed_gives_other_weights(dataset: Dataset, weights: Weights) -> None:
    other = fit(dataset.lives, QUICK, seed=6)
    assert not np.array_equal(other["wear.1.weight"], weights["wear.1.weight"])


def test_a_fit_leaves_torch_as_it_was() -> None:
    torch.set_num_threads(2)
    state = torch.random.get_rng_state()
    with repeatable(1):
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        torch.rand(3)
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_network_has_about_eleven_thousand_weights(weights: Weights) -> None:
    assert 10_000 < sum(value.size for value in weights.values()) < 12_000


def test_quantiles_never_cross_and_degradation_is_a_share_even_far_from_what_was_seen(weights: Weights) -> None:
    random = np.random.default_rng(0)
    wild = random.normal(scale=50.0, size=(500, 40)).astype(np.float32)
    wild[:, -1] = random.uniform(0.0, 12.0, 500)  # up to e^12 hours
    wilder = {**weights, "slope": np.float32([-100.0])}
    degradation, rul_s, trend = answer(wilder, wild)
    assert np.isfinite(rul_s).all()
    assert ((trend >= 0) & (trend <= 10)).all()
    assert (np.diff(rul_s, axis=1) >= 0).all()
    assert (rul_s >= 0).all()
    assert ((degradation >= 0) & (degradation <= 1)).all()


def test_a_machine_does_not_read_worn_for_being_old(dataset: Dataset, weights: Weights) -> None:
    young = dataset.lives[0].condition[:5].copy()
    old = young.copy()
    old[:, -1] += 5.0
    np.testing.assert_array_equal(answer(weights, young)[0], answer(weights, old)[0])
    assert (answer(weights, old)[1] > answer(weights, young)[1]).all()


def test_a_feature_that_never_moved_does_no_harm(dataset: Dataset) -> None:
    lives = dataset.lives
    for life in lives:
        assert np.isfinite(life.condition).all()
    still = [
        type(x)(x.machine, np.where(np.arange(40) == 4, 0, x.condition), x.age_s, x.rul_s, x.degradation) for x in lives
    ]
    found = answer(fit(still, QUICK, seed=5), still[0].condition)
    assert all(np.isfinite(f).all() for f in found)
