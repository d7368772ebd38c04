"""The small fleet, as a dataset and as a finished training run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.training.fleet import SMALL, fleet_labels, fleet_rows
from training.dataset import Dataset, build
from training.prognosis.pipeline import Trained, run_here, train


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """The small fleet."""
    return build(fleet_rows(), fleet_labels(), SMALL)


@pytest.fixture
def quiet() -> Callable[[str], None]:
    """Progress lines that nobody reads."""
    return lambda line: None


@pytest.fixture(scope="session")
def trained(dataset: Dataset) -> Trained:
    """A training run on the small fleet in this process."""
    return train(dataset, SMALL, seed=3, run=run_here, say=lambda line: None)
