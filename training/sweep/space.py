"""Which settings a sweep may try, and the candidates drawn from them: the same space and seed, the same candidates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.errors import ConfigurationError
from training.config import TrainingConfig

# The settings of a fit. The others say what is learned from what and how it is judged: to choose those by the figures
# would be to choose the question by the answer.
TUNABLE = ("rows_per_life", "steps", "learning_rate", "weight_decay", "dropout", "input_noise")


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `low` to `high`, evenly, or evenly in logarithms."""

    low: float
    high: float
    log: bool = False


class Choices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of some values."""

    choices: tuple[float, ...]


Space = Mapping[str, Range | Choices]
SPACE: Space = {
    "steps": Choices((150, 300, 600)),
    "learning_rate": Range(1e-3, 1e-2, log=True),
    "weight_decay": Range(0.01, 1.0, log=True),
    "dropout": Range(0.0, 0.5),
    "input_noise": Range(0.05, 1.0, log=True),
}


def load_space(file: Path | None) -> Space:
    """Read a space from TOML, one table a setting; raises `ConfigurationError` with the key."""
    if file is None:
        return SPACE
    try:
        tables = msgspec.toml.decode(file.read_bytes(), type=dict[str, dict[str, Any]])
    except OSError as e:
        raise ConfigurationError(f"cannot be read: {e.strerror}", where=str(file)) from e
    except (msgspec.ValidationError, msgspec.DecodeError) as e:
        raise ConfigurationError(str(e), where=str(file)) from e
    return {name: _read(name, table, f"{file}: {name}") for name, table in tables.items()}


def _read(name: str, table: Mapping[str, Any], where: str) -> Range | Choices:
    if name not in TUNABLE:
        raise ConfigurationError("is no setting that a sweep may try", where=where, mend=f"one of {', '.join(TUNABLE)}")
    found: Range | Choices
    try:
        found = msgspec.convert(table, Choices) if "choices" in table else msgspec.convert(table, Range)
    except msgspec.ValidationError as e:
        raise ConfigurationError(str(e), where=where) from e
    if isinstance(found, Range) and not (0.0 < found.low < found.high or (not found.log and found.low < found.high)):
        raise ConfigurationError("low must be less than high, and above 0 with log", where=where)
    if isinstance(found, Choices) and not found.choices:
        raise ConfigurationError("choices are missing", where=where)
    return found


def candidates(space: Space, base: TrainingConfig, count: int, seed: int) -> list[TrainingConfig]:
    """Return `base` and `count` - 1 drawn variants of it."""
    random = np.random.default_rng(seed)
    return [base, *(_vary(base, {n: _draw(space[n], random) for n in sorted(space)}) for _ in range(count - 1))]


def _draw(of: Range | Choices, random: np.random.Generator) -> float:
    if isinstance(of, Choices):
        return of.choices[int(random.integers(len(of.choices)))]
    if of.log:
        return float(np.exp(random.uniform(np.log(of.low), np.log(of.high))))
    return float(random.uniform(of.low, of.high))


def _vary(base: TrainingConfig, values: Mapping[str, float]) -> TrainingConfig:
    whole = {n: round(v) if isinstance(getattr(base, n), int) else float(f"{v:.3g}") for n, v in values.items()}
    return msgspec.structs.replace(base, **whole)


def changed(config: TrainingConfig, base: TrainingConfig) -> dict[str, Any]:
    """What differs from `base`."""
    return {n: getattr(config, n) for n in TUNABLE if getattr(config, n) != getattr(base, n)}
