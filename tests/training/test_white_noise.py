"""On 1,000 streams of white noise at most 1 % get a date: what has no trend cannot tell when it ends."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.features import Extractor
from edge.types import Channel, ChannelKind, Machine, Window
from models.history import History
from tests.training.fleet import FEATURES
from training.dataset import Dataset
from training.prognosis.fit import Weights, answer, fit

from .fleet import SMALL

STREAMS, WINDOWS, SAMPLES, POOL = 1_000, 40, 512, 800
MACHINE = Machine(
    name="M", machine_class="m", channels=(Channel(name="a", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=25_600.0),)
)


def white_windows(random: np.random.Generator) -> NDArray[np.float32]:
    """(POOL, F) features of windows that have nothing to do with each other, as the device makes them."""
    extractor, rows = Extractor(MACHINE), []
    for n in range(POOL):
        samples = random.standard_normal(SAMPLES).astype(np.float32)
        (row, *_) = extractor.extract(Window(machine="M", time_ns=n * 10**9, samples={"a": samples}))
        rows.append(row.values[[row.schema.columns.index(f) for f in FEATURES]])
    return np.stack(rows)


def conditions(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(WINDOWS, F) of one stream -> (n, D) after its healthy start."""
    history = History(FEATURES)
    said = [history.update(10.0 * n, {"a": row}) for n, row in enumerate(features)]
    return np.stack([c for c in said if c is not None])


def dated(weights: Weights, streams: NDArray[np.float32]) -> float:
    """(S, WINDOWS, F) -> the share of streams that get a date in at least one window."""
    seen = [conditions(stream) for stream in streams]
    trend = answer(weights, np.concatenate(seen))[2].reshape(len(seen), -1)
    return float((trend >= 1.0).any(axis=1).mean())


def test_white_noise_gets_no_date_and_noise_that_grows_does(dataset: Dataset) -> None:
    random = np.random.default_rng(5)
    weights = fit(dataset.lives, msgspec.structs.replace(SMALL, steps=1), seed=3)
    streams = white_windows(random)[random.integers(0, POOL, (STREAMS, WINDOWS))]
    assert dated(weights, streams) <= 0.01
    loudness = np.array([f.endswith("rms@1") or f == "peak@1" for f in FEATURES])
    growing = np.linspace(1.0, 4.0, WINDOWS)[:, None] ** loudness
    assert dated(weights, (streams[:20] * growing).astype(np.float32)) == 1.0
