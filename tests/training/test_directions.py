"""Channels that move together become few inputs, which a network can take as they are."""

from __future__ import annotations

import numpy as np

from training.fleet.directions import directions


def test_what_moves_together_is_kept_and_scaled() -> None:
    random = np.random.default_rng(3)
    wear, age = np.linspace(0.0, 1.0, 500) ** 2, np.linspace(0.0, 5.0, 500)
    now = 9000.0 + 20.0 * np.outer(wear, [1.0, -2.0, 0.5]) + random.normal(0.0, 1.0, (500, 3))
    lately = 9000.0 + 20.0 * np.outer(wear, [1.0, -2.0, 0.5])
    condition = np.column_stack([now, lately, age]).astype(np.float32)
    location, mix = directions(condition, 3, 1)
    seen = (condition - location) @ mix
    assert seen.shape == (500, 3)
    np.testing.assert_allclose(seen.std(axis=0), 1.0, rtol=1e-3)
    assert abs(np.corrcoef(seen[:, 1], wear)[0, 1]) > 0.999
    assert np.corrcoef(seen[:, 2], age)[0, 1] > 0.999


def test_a_channel_that_stands_still_does_no_harm_and_more_directions_than_channels_are_all_of_them() -> None:
    condition = np.random.default_rng(4).normal(0.0, 1.0, (50, 3)).astype(np.float32)
    condition[:, 1] = 518.67
    location, mix = directions(condition, 2, 5)
    assert mix.shape == (3, 3)
    assert np.isfinite((condition - location) @ mix).all()
