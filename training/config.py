"""The settings of a training run: all of them enter the model's lineage, so the same settings give the same model."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from models.errors import ConfigurationError
from models.features import WAVEFORM
from models.history import HistoryConfig
from models.views import ViewConfig

Settings = TypeVar("Settings", bound=msgspec.Struct)


class TrainingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is learned, how long, and how the thresholds are chosen."""

    features: tuple[str, ...] = tuple(spec.id for spec in WAVEFORM)  # ids, in the order the model sees them
    view: ViewConfig = HistoryConfig()

    # labels
    healthy_share: float = 0.5  # of a life: degradation is 0 up to here, then rises linearly to 1 at the failure
    rul_shares: tuple[float, float] = (0.45, 0.95)  # of a life: a life must have windows here
    prior_shares: tuple[float, float] = (0.48, 0.92)  # of a life: where a machine without damage may be
    fewest_machines: int = 3  # failed machines below which training refuses

    # fit
    rows_per_life: int = 400  # evenly spaced; neighbouring windows say nearly the same
    steps: int = 300  # full-batch steps
    learning_rate: float = 3e-3  # falls to 0 along a cosine
    weight_decay: float = 0.1
    dropout: float = 0.2
    input_noise: float = 0.3  # in standard deviations of the inputs: a machine must not be known by its exact values

    # evaluation: leave one group of machines out, at most this many groups
    most_folds: int = 8
    cuts: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9)  # shares of life at which remaining life is judged

    # alarms
    early_share: float = 0.6  # of a life: a warning before is false
    act_share: float = 0.8  # of a life: an "act now" before is false
    late_share: float = 0.9  # of a life: a first alarm after is too late to plan work
    early_budget: float = 0.25  # share of the machines that may be warned about falsely while thresholds are chosen
    threshold_margin: float = 0.05  # degradation kept between the highest value that must not warn and the limit
    lowest_limit: float = 0.5  # of degradation: below, damage does not show
    highest_limit: float = 0.98  # of degradation; a limit above could never be reached
    on_delay_windows: int = 6  # as of the alarm that needs no model
    off_delay_windows: int = 30
    deadband: float = 0.1


def load_config(file: Path | None, kind: type[Settings]) -> Settings:
    """Read a kind's settings from TOML, or return its defaults; raises `ConfigurationError` with the key."""
    if file is None:
        return kind()
    try:
        return msgspec.toml.decode(file.read_bytes(), type=kind)
    except OSError as e:
        raise ConfigurationError(f"cannot be read: {e.strerror}", where=str(file)) from e
    except (msgspec.ValidationError, msgspec.DecodeError) as e:
        raise ConfigurationError(
            str(e), where=str(file), mend=f"{kind.__module__.replace('.', '/')}.py names every key"
        ) from e
