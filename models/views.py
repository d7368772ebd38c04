"""How a model sees a machine: from rows of features, window by window, to the condition vector that its graph takes.

A view is prefix only: the vector at time t uses nothing after t. The same class runs on the device and in training, so
both see the same numbers. A new way of seeing is a file of its own, its settings a tagged struct in `ViewConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from models.departures import Departures, DeparturesConfig
from models.history import FloatArray, History, HistoryConfig
from models.lines import Lines, LinesConfig
from models.memory import Memory, MemoryConfig

# a union of structs that are told apart by their tags
ViewConfig = HistoryConfig | LinesConfig | DeparturesConfig | MemoryConfig


class View(Protocol):
    """The state of one machine."""

    @property
    def features(self) -> tuple[str, ...]:
        """Ids of the features that it reads."""

    @property
    def config(self) -> ViewConfig:
        """Its settings."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """A name for each of the D values of the condition vector."""

    @property
    def learned(self) -> bool:
        """Whether the machine's healthy start is known."""

    def update(self, time_s: float, channels: Mapping[str, NDArray[Any]]) -> FloatArray | None:
        """Take one window's features by channel, in the order of `features`; None while there is no condition."""

    def dump(self) -> bytes:
        """Return the whole state, to be restored by `load` after a restart."""

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave; features and settings must be the same."""


def open_view(config: ViewConfig, features: Sequence[str]) -> View:
    """Return a new machine's view; `config.problem()` must be empty."""
    match config:
        case HistoryConfig():
            return History(features, config)
        case LinesConfig():
            return Lines(features, config)
        case DeparturesConfig():
            return Departures(features, config)
        case MemoryConfig():
            return Memory(features, config)
