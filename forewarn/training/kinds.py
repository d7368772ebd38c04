"""The kinds of models that are learned from the lake: each reads its rows, learns, and knows its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from forewarn.training.labelled import labelled
from forewarn.training.source import Source
from models.departures import LEVEL, DeparturesConfig
from models.errors import DataInsufficient, WrongUse
from models.memory import MemoryConfig
from training.anomaly.card import write_anomaly_card
from training.anomaly.config import AnomalyConfig
from training.anomaly.runs import runs_of
from training.anomaly.train import train as train_anomaly
from training.config import TrainingConfig, load_config
from training.dataset import Dataset, Each, build
from training.faults.card import write_fault_card
from training.faults.fit import FaultConfig
from training.faults.train import train as train_faults
from training.fleet.card import write_card as write_fleet_card
from training.fleet.learn import FleetConfig
from training.fleet.train import train_fleet
from training.model import Model, Say
from training.prognosis.card import write_card
from training.prognosis.pipeline import Runner, train

_CAP_SHARE = 0.6  # of the median life; 125 cycles are as much of the simulated turbofans' lives
_MOST_WINDOWS = 5_000  # of a fleet's longest life: machines are made up window by window, all at once in memory
_CONNECT = "connect machines with a slow channel first"

View = TypeVar("View", DeparturesConfig, MemoryConfig)


@dataclass(frozen=True, slots=True)
class Learned:
    """A model, and what is not in it."""

    model: Model
    card: Callable[[str], str]  # of a bundle's name
    left_out: Sequence[str]  # one sentence for each thing that was not used


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asks of a training."""

    settings: Path | None  # TOML; None: the kind's own
    seed: int
    run: Runner  # where a prognosis' fits run
    each: Each = map  # and where its machines are prepared
    say: Say
    recordings: Path | None = None  # of damage that somebody has found
    labels: Path | None = None  # and what was found


def prognosis(source: Source, wanted: Wanted) -> Learned:
    """Degradation and remaining life from vibration: some machines have failed."""
    config = load_config(wanted.settings, TrainingConfig)
    dataset = read_dataset(source, config, wanted.say, wanted.each)
    model = train(dataset, config, seed=wanted.seed, run=wanted.run, say=wanted.say)
    simulated = source.simulated(dataset.machines)
    card = lambda name: write_card(name, source.machine_class, dataset, model, simulated=simulated)  # noqa: E731
    return Learned(model, card, dataset.left_out)


def read_dataset(source: Source, config: TrainingConfig, say: Say, each: Each = map) -> Dataset:
    """The lives of a class's machines through the features of their waveforms."""
    return _build(source, source.rows("features", config.features), config, say, each)


def fleet(source: Source, wanted: Wanted) -> Learned:
    """Remaining life from slow channels that were followed to many failures."""
    config = load_config(wanted.settings, FleetConfig)
    rows = source.rows("scalars", config.features)
    config = msgspec.structs.replace(config, view=_of_channels(config.view, rows))
    dataset = _build(source, rows, config.rows(), wanted.say)
    if (longest := max(len(life.age_s) for life in dataset.lives)) > _MOST_WINDOWS:
        raise DataInsufficient(
            f"the longest life has {longest} windows, a fleet's model is made for at most {_MOST_WINDOWS}",
            mend="measure more rarely, or learn what is unusual instead: --kind anomaly",
        )
    if not config.cap_s:
        median = float(np.median([life.age_s[-1] + life.rul_s[-1] for life in dataset.lives]))
        config = msgspec.structs.replace(config, cap_s=_CAP_SHARE * median)
    model = train_fleet(dataset, config, seed=wanted.seed, say=wanted.say)
    simulated = source.simulated(dataset.machines)
    card = lambda name: write_fleet_card(name, source.machine_class, dataset, model, simulated=simulated)  # noqa: E731
    return Learned(model, card, dataset.left_out)


def anomaly(source: Source, wanted: Wanted) -> Learned:
    """What is unusual in slow channels: nothing has to have failed."""
    config = load_config(wanted.settings, AnomalyConfig)
    rows = source.rows("scalars", (LEVEL,))
    config = msgspec.structs.replace(config, view=_of_channels(config.view, rows))
    runs, left_out = runs_of(rows, source.labels, config)
    _say_rows(source, rows, left_out, wanted.say)
    model = train_anomaly(runs, config, seed=wanted.seed, say=wanted.say)
    return Learned(model, lambda name: write_anomaly_card(name, source.machine_class, model), left_out)


def faults(source: Source, wanted: Wanted) -> Learned:
    """Which part of a bearing is damaged, from recordings of damage that was found; the lake has no part in it."""
    if wanted.recordings is None or wanted.labels is None:
        raise WrongUse(
            "a model of faults is learned from labelled recordings", mend="give --recordings DIR and --labels FILE.csv"
        )
    config = load_config(wanted.settings, FaultConfig)
    examples = labelled(wanted.recordings, wanted.labels, config, seed=wanted.seed, say=wanted.say)
    names = {e.machine for e in examples}
    wanted.say(f"{len(examples)} examples of {len(names)} recordings, {len({e.bearing for e in examples})} bearings")
    model = train_faults(examples, config, seed=wanted.seed)
    return Learned(model, lambda name: write_fault_card(name, source.machine_class, model), ())


KINDS: dict[str, Callable[[Source, Wanted], Learned]] = {
    "prognosis": prognosis,
    "fleet": fleet,
    "anomaly": anomaly,
    "faults": faults,
}


def _build(source: Source, rows: Any, config: TrainingConfig, say: Say, each: Each = map) -> Dataset:
    dataset = build(rows, source.labels, config, each=each)
    _say_rows(source, rows, dataset.left_out, say)
    return dataset


def _say_rows(source: Source, rows: Any, left_out: Sequence[str], say: Say) -> None:
    say(
        f"{rows.num_rows} rows of {len(source.machines)} machines of class {source.machine_class}, "
        f"lake at commit {source.commit}"
    )
    for reason in left_out:
        say(f"not used: {reason}")


def _of_channels(view: View, rows: Any) -> View:
    """The view of the channels that somebody chose, or else of all that are common."""
    return msgspec.structs.replace(view, channels=view.channels or _common_channels(rows))


def _common_channels(rows: Any) -> tuple[str, ...]:
    """The channels that every machine with any has."""
    if not rows.num_rows:
        raise DataInsufficient("the lake holds no slow channels of this class", mend=_CONNECT)
    by_machine: dict[tuple[str, str], set[str]] = {}
    for line in rows.group_by(["site", "machine", "channel"]).aggregate([]).to_pylist():
        by_machine.setdefault((line["site"], line["machine"]), set()).add(line["channel"])
    common = set.intersection(*by_machine.values())
    if not common:
        told = "; ".join(f"{site}/{name}: {', '.join(sorted(c))}" for (site, name), c in sorted(by_machine.items()))
        raise DataInsufficient(
            f"no slow channel is common to all machines: {told}", mend="choose: channels in the settings' [view]"
        )
    return tuple(sorted(common))
