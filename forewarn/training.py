"""From the lake to a bundle's bytes: the one place that knows the lake, the training and the edge's features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from cloud.catalogue import maintenance
from cloud.catalogue.access import reading
from cloud.catalogue.maintenance import Known
from edge.updater.examine import golden_features
from forewarn import __version__
from forewarn.classes import only_class
from forewarn.findings import read_labels
from models.bundle import feature_hash, pack
from models.errors import DataInsufficient
from models.golden import Golden, needs_waveforms
from models.manifest import FORMAT, Lineage, Manifest
from training.config import TrainingConfig
from training.dataset import Dataset, FloatArray, build
from training.export import run_onnx
from training.footprint import measure
from training.model import Model, Say
from training.prognosis.card import write_card
from training.prognosis.pipeline import Runner, Trained, train

if TYPE_CHECKING:
    from cloud.wiring import Cloud

_GOLDEN_RATE_HZ = 25_600.0
_GOLDEN_SAMPLES = 2_560


@dataclass(frozen=True, slots=True)
class Product:
    """A packed bundle and the training run that it came from."""

    name: str
    bundle: bytes
    dataset: Dataset
    trained: Trained


@dataclass(frozen=True, slots=True)
class Source:
    """What the lake and the maintenance history give to learn from."""

    machine_class: str
    dataset: Dataset
    simulated: bool  # whether any machine of the dataset is


def read_dataset(cloud: Cloud, machine_class: str, config: TrainingConfig, say: Say) -> Source:
    """Read all that the lake and the maintenance history know of a class; an empty class is the only one there is.

    Raises `DataInsufficient` or `WrongUse`.
    """
    with reading(cloud.engine) as c:
        known = maintenance.machines(c, cloud.enterprise)
    machine_class = machine_class or only_class(known)
    chosen = [k for k in known if k.machine_class == machine_class]
    if not chosen:
        raise DataInsufficient(f"no machine of the class {machine_class} has ever connected")
    commit = cloud.lake.head()
    rows = _rows(cloud, chosen, config, commit)
    say(f"{rows.num_rows} feature rows of {len(chosen)} machines of class {machine_class}, lake at commit {commit}")
    mine = {(k.site, k.machine) for k in chosen}
    dataset = build(rows, read_labels(cloud).only(mine), config)
    for reason in dataset.left_out:
        say(f"not used: {reason}")
    simulated = any(k.simulated for k in chosen if f"{k.site}/{k.machine}" in dataset.machines)
    return Source(machine_class, dataset, simulated)


def make_bundle(
    cloud: Cloud, machine_class: str, config: TrainingConfig, *, seed: int, run: Runner, say: Say
) -> Product:
    """Train on what `read_dataset` gives, and pack the model; raises before anything is trained."""
    source = read_dataset(cloud, machine_class, config, say)
    trained = train(source.dataset, config, seed=seed, run=run, say=say)
    cost = measure(trained.onnx, len(trained.inputs))
    say(
        f"one window costs {1000.0 * cost.milliseconds:.0f} us of CPU time, the graph {cost.megabytes:.1f} MB of memory"
    )
    name, data = pack_bundle(
        source.machine_class,
        trained,
        card=lambda name: write_card(name, source.machine_class, source.dataset, trained, simulated=source.simulated),
        simulated=source.simulated,
    )
    return Product(name, data, source.dataset, trained)


def golden_waveforms() -> FloatArray:
    """(4, 2560) float32: a hum, noise, and a bearing's impacts twice; the same on every machine."""
    t = np.arange(_GOLDEN_SAMPLES) / _GOLDEN_RATE_HZ
    noise = np.random.default_rng(20_261_122).standard_normal((4, t.size))
    waves = 0.05 * noise
    waves[0] += 0.3 * np.sin(2 * np.pi * 29.5 * t)
    waves[1] += 0.5 * noise[0]
    for row, strength in ((2, 1.0), (3, 4.0)):
        since = np.mod(t + 0.001 * row, 1 / 107.0)
        waves[row] += strength * np.exp(-since * 900.0) * np.sin(2 * np.pi * 4_100.0 * since)
    return waves.astype(np.float32)


def _rows(cloud: Cloud, chosen: Sequence[Known], config: TrainingConfig, commit: int) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - with the lake, after the quick refusals
    import pyarrow.compute as pc  # noqa: PLC0415

    table = cloud.lake.rows("features", machines={k.machine for k in chosen}, columns=config.features, as_of=commit)
    keys = pc.binary_join_element_wise(table["site"], table["machine"], "/")
    return table.filter(pc.is_in(keys, pa.array([f"{k.site}/{k.machine}" for k in chosen], pa.string())))


def pack_bundle(
    machine_class: str, model: Model, *, card: Callable[[str], str], simulated: bool = False
) -> tuple[str, bytes]:
    """Return the bundle's name, which follows from its lineage, and its bytes; `card` writes the card of a name."""
    lineage = msgspec.structs.replace(model.lineage, versions=model.lineage.versions | {"forewarn": __version__})
    name = f"{machine_class}-{_digest(lineage)}"
    manifest = Manifest(
        format=FORMAT,
        name=name,
        machine_class=machine_class,
        features=model.features,
        feature_hash=feature_hash(model.features),
        view=model.view,
        inputs=model.inputs,
        outputs=model.outputs,
        faults=model.faults,
        thresholds=model.thresholds,
        coverage=model.coverage,
        lineage=lineage,
        evaluation=model.evaluation,
        parity_max_abs=model.parity_max_abs,
        simulated=simulated,
    )
    return name, pack(manifest, model.onnx, _golden(model), card(name))


def _golden(model: Model) -> Golden:
    outputs = run_onnx(model.onnx, model.probe, model.outputs)
    if not needs_waveforms(model.features):
        return Golden(condition=model.probe, outputs=outputs)
    waveforms = golden_waveforms()
    return Golden(
        condition=model.probe,
        outputs=outputs,
        rate_hz=_GOLDEN_RATE_HZ,
        waveforms=waveforms,
        features=golden_features(waveforms, _GOLDEN_RATE_HZ, model.features),
    )


def _digest(lineage: Lineage) -> str:
    return hashlib.sha256(msgspec.json.encode(lineage, order="sorted")).hexdigest()[:12]
