"""A sweep on a Ray cluster: candidates as Ray Tune trials with ASHA, on a store from which a killed sweep goes on.

A trial is one worker with one CPU. What it has fitted is its checkpoint: a worker that dies is replaced and goes on
after the last stage that was ended, and so does a sweep whose head or driver died, when it is started again with the
same folder. Tune's own function trainable runs the fits: a TorchTrainer inside costs seconds a fit (decision 0004).
"""

# ruff: noqa: PLC0415 - Ray takes seconds and hundreds of megabytes: only who uses it pays
from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import Unavailable
from training.cluster import connected
from training.model import Say
from training.prognosis.fit import Weights
from training.prognosis.folds import Left
from training.sweep.search import KEPT, STAGES, Task, Trial, progress, run_stages

_RETRIES = 3  # of a trial whose worker died
_WEIGHTS = "weights.npz"


def run_on_tune(
    task: Task, say: Say, *, store: Path, address: str, cpus: int = 2, at_once: int = 0, deadline_s: float = 36_000.0
) -> list[Trial]:
    """Run all candidates on a cluster; raises `Unavailable` where some did not end within the deadline.

    `store` is a folder, for several nodes a shared one, from which a restart of the same task goes on. `at_once` 0 is
    as many as there are CPUs.
    """
    say(f"Ray Tune: {len(task.candidates)} candidates, kept in {store}")
    with connected(address, cpus=cpus, say=say):
        return _run(task, say, store.resolve(), at_once, deadline_s)


def _run(task: Task, say: Say, store: Path, at_once: int, deadline_s: float) -> list[Trial]:
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the sweep writes a report of its own
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # and says its progress itself
    from ray import tune
    from ray.tune.logger import JsonLoggerCallback
    from ray.tune.schedulers import ASHAScheduler

    log: Any = JsonLoggerCallback()  # type: ignore[no-untyped-call]
    name = f"sweep-{task.digest[:12]}"
    trainable = tune.with_resources(tune.with_parameters(_trial, task=task), {"cpu": 1})
    numbers = {"number": tune.grid_search(list(range(len(task.candidates))))}
    if tune.Tuner.can_restore(str(store / name)):
        say("an earlier run of this sweep is there: going on from it")
        tuner = tune.Tuner.restore(
            str(store / name), trainable=trainable, param_space=numbers, resume_unfinished=True, resume_errored=True
        )
    else:
        tuner = tune.Tuner(
            trainable,
            param_space=numbers,
            tune_config=tune.TuneConfig(
                metric="objective",
                mode="min",
                scheduler=ASHAScheduler(
                    time_attr="stage", max_t=STAGES, grace_period=1, reduction_factor=KEPT, brackets=1
                ),
                max_concurrent_trials=at_once or None,
                time_budget_s=deadline_s,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(store),
                failure_config=tune.FailureConfig(max_failures=_RETRIES),
                callbacks=[log, _progress(say, len(task.candidates))],
                verbose=0,
            ),
        )
    found = {}
    results: Any = tuner.fit()
    for result in results:
        if result.error is not None:
            raise Unavailable(f"a candidate failed on the Ray cluster: {result.error}", mend="start the sweep again")
        if result.metrics and "objectives" in result.metrics:
            number = result.metrics["number"]
            found[number] = Trial(number, tuple(result.metrics["objectives"]))
    if len(found) < len(task.candidates):
        raise Unavailable(
            f"{len(task.candidates) - len(found)} candidates did not begin within {deadline_s:.0f} s on Ray",
            mend="start the sweep again: it goes on",
        )
    return [found[number] for number in sorted(found)]


def _trial(config: dict[str, Any], task: Task) -> None:
    """One candidate, in a worker: reports after each stage, with what it has fitted as its checkpoint."""
    from ray import tune

    number = config["number"]
    done, objectives = _load(tune.get_checkpoint())
    known = len(objectives)
    for objective in run_stages(task, number, done):
        if known:  # the fits of this stage came from the checkpoint
            known -= 1
            continue
        objectives.append(objective)
        with tempfile.TemporaryDirectory() as folder:
            _save(Path(folder), done, objectives)
            report = {"objective": objective, "stage": len(objectives), "number": number, "objectives": objectives}
            tune.report(report, checkpoint=tune.Checkpoint.from_directory(folder))


def _save(folder: Path, done: Mapping[Left, Weights], objectives: list[float]) -> None:
    arrays = {f"{_key(left)}/{n}": a for left, weights in done.items() for n, a in weights.items()}
    np.savez(folder / _WEIGHTS, objectives=np.array(objectives), **arrays)  # type: ignore[arg-type]


def _load(checkpoint: Any) -> tuple[dict[Left, Weights], list[float]]:
    if checkpoint is None:
        return {}, []
    done: dict[Left, dict[str, Any]] = {}
    with checkpoint.as_directory() as folder, np.load(Path(folder) / _WEIGHTS, allow_pickle=False) as arrays:
        for name in arrays.files:
            if name != "objectives":
                key, _, parameter = name.partition("/")
                done.setdefault(frozenset(int(i) for i in key.split("-")), {})[parameter] = arrays[name]
        return dict(done), arrays["objectives"].tolist()


def _key(left: Left) -> str:
    return "-".join(str(i) for i in sorted(left))


def _progress(say: Say, count: int) -> Any:
    from ray.tune import Callback

    class Progress(Callback):
        """Says each stage of each candidate as it ends."""

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            say(progress(result["number"], count, result["objectives"]))

    return Progress()
