"""A whole training from the lake: what is known of a class in, a bundle's bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forewarn.training.kinds import KINDS, Learned, Wanted
from forewarn.training.pack import pack_bundle
from forewarn.training.source import read_source
from training.footprint import measure

if TYPE_CHECKING:
    from cloud.wiring import Cloud


@dataclass(frozen=True, slots=True)
class Product:
    """A packed bundle and what it was made of."""

    name: str
    bundle: bytes
    learned: Learned


def make_bundle(cloud: Cloud, machine_class: str, kind: str, wanted: Wanted) -> Product:
    """Train a model of a kind (`KINDS`) and pack it.

    Raises `DataInsufficient`, `WrongUse` or `ConfigurationError` before anything is trained.
    """
    source = read_source(cloud, machine_class)
    learned = KINDS[kind](source, wanted)
    model = learned.model
    cost = measure(model.onnx, len(model.inputs))
    wanted.say(
        f"one window costs {1000.0 * cost.milliseconds:.0f} us of CPU time, the graph {cost.megabytes:.1f} MB of memory"
    )
    simulated = source.simulated(model.lineage.machines)
    return Product(*pack_bundle(source.machine_class, model, card=learned.card, simulated=simulated), learned)
