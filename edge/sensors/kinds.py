"""The kinds of source that a device's file may name: those here, and any installed package's.

A kind is one class: its keys are the struct's fields, and `open` makes the sensor. A package adds one by an entry
point in the group `forewarn.sources` whose name is the kind; docs/sources.md has one in a single file. A kind is
imported when a file names it, so that a device pays only for what it listens to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from edge.sensors import Sensor
from models.errors import ConfigurationError

Positive = Annotated[float, Meta(gt=0, le=1e9)]  # of a key: neither zero nor infinite
GROUP = "forewarn.sources"
BUILT_IN = {
    "simulator": "edge.sensors.made:SimulatorSource",
    "replay": "edge.sensors.made:ReplaySource",
    "push": "edge.sensors.push:PushSource",
    "mqtt": "edge.sensors.mqtt:MqttSource",
    "opcua": "edge.sensors.opcua:OpcUaSource",
}


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the device's file says of a machine beside its source."""

    name: str
    machine_class: str = "bearing"
    line: str = ""


def _nobody_waits(_up_to_ns: int) -> None:
    """A source that can be asked again, as a recording can, need not know what is kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """A sensor, and what the loop must know of it."""

    sensor: Sensor
    replay: bool  # event times belong to a recording or a simulation, not to the device's clock
    hurried: bool  # as fast as possible: it can wait, and its windows may be kept in groups
    every_s: float | None = None  # its measuring schedule
    kept: Callable[[int], None] = (
        _nobody_waits  # told when all windows up to an event time are kept, or counted as lost
    )


class Opens:
    """What every kind can do."""

    __slots__ = ()

    def placed(self, folder: Path) -> Self:
        """The same with its paths made absolute; `folder` is that of the device's file."""
        return self

    def open(self, wiring: Wiring) -> Source:
        """A sensor for the machine; WrongUse when it cannot be made. Connects to nothing before `windows`."""
        raise NotImplementedError


class SourceConfig(Opens, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """The base of a kind's keys; each subclass has its kind as `tag`."""


def understood(given: Any, key: str) -> SourceConfig:
    """The source that a table of the device's file describes; ConfigurationError names the path below `key`."""
    kind = given.get("kind") if isinstance(given, dict) else None
    if not isinstance(kind, str):
        raise ConfigurationError(f"Object missing required field `kind` - at `{key}`", mend='say `kind = "..."`')
    try:
        return msgspec.convert(given, type=load_kind(kind, key))
    except msgspec.ValidationError as e:
        said = str(e)
        where = said.replace("`$", f"`{key}") if "`$" in said else f"{said} - at `{key}`"
        raise ConfigurationError(where) from e


def load_kind(kind: str, key: str = "kind") -> type[SourceConfig]:
    """The class of a kind; ConfigurationError when there is none, or two packages claim it."""
    found = [e for e in entry_points(GROUP) if e.name == kind] if kind not in BUILT_IN else []
    if len(found) > 1:
        raise ConfigurationError(f"two packages have a source kind {kind!r} - at `{key}.kind`", mend="uninstall one")
    if not found and kind not in BUILT_IN:
        known = ", ".join(sorted({*BUILT_IN, *(e.name for e in entry_points(GROUP))}))
        raise ConfigurationError(f"Invalid value {kind!r} - at `{key}.kind`", mend=f"the kinds here: {known}")
    try:
        made = _imported(BUILT_IN[kind]) if kind in BUILT_IN else found[0].load()
    except (ImportError, AttributeError) as e:
        raise ConfigurationError(
            f"the source kind {kind!r} cannot be loaded: {e} - at `{key}.kind`", mend="install what it needs"
        ) from e
    if not (isinstance(made, type) and issubclass(made, SourceConfig)) or made.__struct_config__.tag != kind:
        raise ConfigurationError(f"the package's source kind {kind!r} is no SourceConfig with that tag")
    return made


def entry_points(group: str) -> Sequence[Any]:
    """What the installed packages offer in a group; the metadata's reader is imported only where one is asked for."""
    from importlib import metadata  # noqa: PLC0415 - 1 MB, and most devices name built-in kinds only

    return tuple(metadata.entry_points(group=group))


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
