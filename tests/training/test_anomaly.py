"""What alarms cost where there is nothing to find: white noise, and budgets on machines that set no limit."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from models.departures import LEVEL, Departures, DeparturesConfig
from models.networks.departure import LIMIT
from training.anomaly.train import AnomalyConfig, Run, train
from training.bounds import poisson_interval

START = 150
Array = NDArray[np.float64]


def conditions(noise: Array, start: int, fast: float) -> NDArray[np.float32]:
    """(n, m) of m machines with one channel -> (n - start, m, 2) of what the view sees of each of them."""
    names = tuple(str(i) for i in range(noise.shape[1]))
    view = Departures((LEVEL,), DeparturesConfig(channels=names, start_windows=start, fast_windows=fast))
    said = [view.update(10.0 * i, dict(zip(names, row[:, None], strict=True))) for i, row in enumerate(noise)]
    return np.stack([s.reshape(2, -1).T for s in said if s is not None])


def wandering(seed: int, rows: int, machines: int) -> Array:
    """Noise whose values hang together over some ten windows."""
    x = np.random.default_rng(seed).standard_normal((rows, machines))
    for i in range(1, rows):
        x[i] = 0.9 * x[i - 1] + 0.44 * x[i]
    return x


@pytest.mark.parametrize(("fast", "limit", "in_a_row", "start"), [(4.0, 5.0, 1, START), (8.0, 3.05, 8, 750)])
def test_white_noise_hardly_ever_raises_an_alarm(fast: float, limit: float, in_a_row: int, start: int) -> None:
    noise = np.random.default_rng(5).standard_normal((start + 1000, 1000))
    over = np.abs(conditions(noise, start, fast)[:, :, 1]) >= limit
    raised = np.lib.stride_tricks.sliding_window_view(over, in_a_row, axis=0).all(axis=-1).any(axis=0)
    assert raised.mean() <= 0.01


@pytest.mark.parametrize("budget", [1 / 50, 1 / 120, 1 / 300])
def test_a_budget_of_false_alarms_is_kept_on_other_machines(budget: float) -> None:
    rows, machines = START + 500, 12
    runs = [
        Run(str(m), [(10.0 * i, {"a": x[i : i + 1]}) for i in range(rows)], np.ones(rows, np.bool_))
        for m, x in enumerate(wandering(1, rows, machines).astype(np.float32).T)
    ]
    view = DeparturesConfig(channels=("a",), start_windows=START)
    model = train(runs, AnomalyConfig(view=view, false_alarms=budget, least_limit=1.0), seed=7, say=lambda _: None)
    session = onnxruntime.InferenceSession(model.onnx, providers=["CPUExecutionProvider"])
    others = conditions(wandering(2, rows, machines), START, view.fast_windows)
    flat = others.reshape(-1, 2)
    score = np.asarray(session.run(None, {session.get_inputs()[0].name: flat})[0]).reshape(others.shape[:2])
    raised = sum(alarms(machine, model.thresholds.deadband) for machine in score.T)
    low, _ = poisson_interval(raised)
    assert budget * score.size >= 20
    assert low <= budget * score.size
    assert raised > 0.2 * budget * score.size  # and it is made use of


def alarms(score: NDArray[np.float32], deadband: float) -> int:
    """How often an alarm begins: at the limit, until ten windows in a row were clearly below."""
    begun, clear = 0, 10
    for value in score.tolist():
        if value >= LIMIT and clear >= 10:
            begun, clear = begun + 1, 0
        elif clear < 10:
            clear = clear + 1 if value < LIMIT - deadband else 0
    return begun
