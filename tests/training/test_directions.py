"""Channels that move together become few inputs, which a network can take as they are."""

from __future__ import annotations

import numpy as np

from training.fleet.directions import directions


def test_what_moves_together_is_kept_and_scaled() -> None:
    random = np.random.default_rng(3)
    wear = np.linspace(0.0, 1.0, 500) ** 2
    readings = 9000.0 + 20.0 * np.outer(wear, [1.0, -2.0, 0.5]) + random.normal(0.0, 1.0, (500, 3))
    location, mix = directions([readings.astype(np.float32)], 1)
    seen = (readings.astype(np.float32) - location) @ mix
    assert seen.shape == (500, 1)
    np.testing.assert_allclose(seen.std(axis=0), 1.0, rtol=1e-3)
    assert abs(np.corrcoef(seen[:, 0], wear)[0, 1]) > 0.99


def test_a_channel_that_stands_still_does_no_harm_and_more_directions_than_channels_are_all_of_them() -> None:
    readings = np.random.default_rng(4).normal(0.0, 1.0, (50, 2)).astype(np.float32)
    readings[:, 1] = 518.67
    location, mix = directions([readings], 5)
    assert mix.shape == (2, 2)
    assert np.isfinite((readings - location) @ mix).all()


def test_a_channel_of_noise_alone_is_no_direction() -> None:
    random = np.random.default_rng(5)
    wear, other = np.linspace(0.0, 1.0, 800) ** 3, np.sin(np.linspace(0.0, 3.0, 800))
    readings = np.column_stack([wear, wear, wear, 0.3 * other, other]) + 0.1 * random.standard_normal((800, 5))
    readings = np.column_stack([readings, random.standard_normal((800, 2))]).astype(np.float32)
    _, mix = directions([readings[:300], readings[300:]], 2)
    noise = np.abs(mix[-2:] * readings[:, -2:].std(axis=0)[:, None]).max()
    assert noise < 0.1 * np.abs(mix[:-2] * readings[:, :-2].std(axis=0)[:, None]).max()
