"""Simulated turbofans run to failure (NASA C-MAPSS): one line for each test unit.

A sub-set (FDnnn, from the files' names) is a fleet of its own: its train units teach, its test units are asked. Only
sensors that train and test files share and that ever move are channels. A cycle is replayed as an hour of event time,
so the model's seconds are divided by 3600; that an engine's life is counted in cycles is all that is special here,
and that every unit gets a number: where it shows no trend (`reason`), what machines had left that showed as little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from edge.inference import LoadedBundle
from edge.sensors.recording import Recording
from edge.types import Kind
from forewarn.evaluation.benchmark import Line, Say
from forewarn.evaluation.cmapss_files import CYCLE_S, Subset, channels, recordings, subsets
from forewarn.evaluation.cmapss_score import describe, score
from forewarn.training.pack import pack_bundle
from forewarn.whatif import estimate, listen
from models.errors import DataInsufficient
from models.memory import MemoryConfig
from training.dataset import build
from training.fleet.card import write_card
from training.fleet.learn import FleetConfig
from training.fleet.train import train_fleet
from training.labels import FAILED, Labels, Maintenance

__all__ = ["describe", "evaluate", "score"]

CLASS = "turbofan"
CAP_CYCLES = 125  # what most papers cap remaining life at


def evaluate(train_on: Path, test_on: Path, *, seed: int, say: Say) -> Iterator[Line]:
    """Train on the run-to-failure units of one folder; yield what is said of each test unit at its last cycle."""
    taught, unheard = subsets(train_on, "train"), subsets(test_on, "test")
    for name, asked in unheard.items():
        if name not in taught:
            raise DataInsufficient(f"no train_{name}*.parquet is there to learn from", where=str(train_on))
        names = channels(taught[name], asked)
        say(f"{name}: {len(names)} sensors that move")
        bundle = _trained(taught[name], names, seed=seed, say=say)
        for recording in recordings(asked, names):
            yield {"set": name, "unit": int(recording.name)} | _last(recording, bundle)


def _trained(subset: Subset, names: Sequence[str], *, seed: int, say: Say) -> LoadedBundle:
    config = FleetConfig(view=MemoryConfig(channels=tuple(names)), cap_s=CAP_CYCLES * CYCLE_S)
    units = list(recordings(subset, names))
    say(f"replaying {len(units)} units")
    rows = pa.concat_tables([feature_table(unit) for unit in units])
    ends = [Maintenance(time_ns=unit.last_ns, machine=unit.name, event=FAILED) for unit in units]
    dataset = build(rows, Labels(ends), config.rows())
    model = train_fleet(dataset, config, seed=seed, say=say)
    card = lambda name: write_card(name, CLASS, dataset, model, simulated=True)  # noqa: E731
    return LoadedBundle.read(pack_bundle(CLASS, model, card=card, simulated=True)[1])


def feature_table(recording: Recording) -> pa.Table:
    """Return the levels of a recording's slow channels with the columns that the lake gives."""
    rows = [
        (row.channel, said.time_ns, int(row.quality), float(row.values[0]))
        for said in listen(recording)
        for row in said.rows
        if row.kind is Kind.SCALARS
    ]
    names, times, quality, levels = zip(*rows, strict=True)
    return pa.table(
        {
            "site": pa.repeat("", len(rows)),
            "machine": pa.repeat(recording.name, len(rows)),
            "channel": list(names),
            "event_time_ns": pa.array(times, pa.int64()),
            "quality": pa.array(quality, pa.uint8()),
            "level@1": np.array(levels, np.float32),
        }
    )


def _last(recording: Recording, bundle: LoadedBundle) -> Line:
    (last,) = deque(listen(recording, bundle), maxlen=1)  # a unit without a cycle is in no file
    line = estimate(last, bundle)
    del line["rul_s"]
    said = last.assessment and (last.assessment.rul_s or last.assessment.population_s)
    cycles = said and {q: round(v / CYCLE_S, 3) for q, v in zip(("p05", "p50", "p95"), said, strict=True)}
    return {"rul_cycles": cycles} | line
