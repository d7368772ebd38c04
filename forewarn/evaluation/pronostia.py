"""Bearings run to failure (PRONOSTIA, PHM 2012): one line for each snapshot of each bearing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from edge.inference import LoadedBundle
from edge.sensors.recording import Recording
from edge.types import Kind
from forewarn.evaluation.files import recordings
from forewarn.evaluation.pronostia_score import describe, score
from forewarn.training.pack import pack_bundle
from forewarn.whatif import estimate, listen
from training.config import TrainingConfig
from training.dataset import build
from training.labels import FAILED, Labels, Maintenance
from training.model import Say
from training.prognosis.card import write_card
from training.prognosis.pipeline import run_here, train

CLASS = "bearing"
__all__ = ["describe", "evaluate", "score"]


def evaluate(train_on: Path, test_on: Path, *, seed: int, say: Say) -> Iterator[dict[str, Any]]:
    """Train on the recordings below one folder, each of which ends in a failure; yield what is said about the others.

    A test recording may stop anywhere: each line uses nothing that comes after its snapshot.
    """
    seen, unseen = recordings(train_on, say), recordings(test_on, say)
    bundle = LoadedBundle.read(_trained(seen, seed=seed, say=say))
    for recording in unseen:
        yield from lines_of(recording, bundle)
        say(f"listened to {recording.name}")


def _trained(seen: Sequence[Recording], *, seed: int, say: Say) -> bytes:
    config = TrainingConfig()
    tables, history = [], []
    for recording in seen:
        table = feature_table(recording, config.features)
        tables.append(table)
        end = int(np.max(table["event_time_ns"].to_numpy()))
        history.append(Maintenance(time_ns=end, machine=recording.name, event=FAILED))
    dataset = build(pa.concat_tables(tables), Labels(history), config)
    trained = train(dataset, config, seed=seed, run=run_here, say=say)
    return pack_bundle(CLASS, trained, card=lambda name: write_card(name, CLASS, dataset, trained, simulated=False))[1]


def feature_table(recording: Recording, features: Sequence[str]) -> pa.Table:
    """Return the features of a recording with the columns that the lake gives: identity, quality, one per feature."""
    names: list[str] = []
    times: list[int] = []
    quality: list[int] = []
    values: list[np.ndarray[Any, Any]] = []
    for said in listen(recording):
        for row in said.rows:
            if row.kind is Kind.FEATURES:
                names.append(row.channel)
                times.append(said.time_ns)
                quality.append(int(row.quality))
                values.append(row.values[[row.schema.columns.index(f) for f in features]])
    matrix = np.stack(values)
    return pa.table(
        {
            "site": pa.repeat("", len(names)),
            "machine": pa.repeat(recording.name, len(names)),
            "channel": names,
            "event_time_ns": pa.array(times, pa.int64()),
            "quality": pa.array(quality, pa.uint8()),
            **{f: matrix[:, i] for i, f in enumerate(features)},
        }
    )


def lines_of(recording: Recording, bundle: LoadedBundle) -> Iterator[dict[str, Any]]:
    for said in listen(recording, bundle):
        degradation = said.assessment.degradation if said.assessment else 0.0
        line = {"bearing": recording.name, "snapshot": said.window, "degradation": round(degradation, 6)}
        yield line | {"alarm": said.alarm} | estimate(said, bundle)
