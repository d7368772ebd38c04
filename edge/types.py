"""The plain types that flow from sensor to uplink. Wire types appear only in `edge.wire`."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.features import schema_id

FloatArray = NDArray[np.float32]


class ChannelKind(enum.Enum):
    """How a channel is sampled: fast enough for a spectrum, or slowly."""

    WAVEFORM = "waveform"
    SCALAR = "scalar"


class Kind(enum.IntEnum):
    """Record kinds, with the numbers of the wire."""

    FEATURES = 1
    SCALARS = 2
    SPECTRUM = 3
    WAVEFORM = 4
    ALERT = 5
    HEALTH = 6
    GAP = 7
    ASSESSMENT = 8
    STATE = 9


class Quality(enum.IntFlag):
    """What is doubtful about a record."""

    GOOD = 0
    SUSPECT_CLOCK = 1
    SENSOR_FAULT = 2
    INCOMPLETE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One measured quantity of a machine."""

    name: str
    kind: ChannelKind
    unit: str  # g, m/s2, mm/s, C, bar, ...
    rate_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """Rolling-element geometry; only ratios matter, so lengths may be in any one unit."""

    balls: int
    ball_diameter: float
    pitch_diameter: float
    contact_angle_deg: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is known of a machine before the first measurement; None is unknown."""

    name: str
    machine_class: str
    channels: tuple[Channel, ...]
    speed_rpm: float | None = None
    bearing: Bearing | None = None
    line: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One measurement of a machine: every channel's samples since the measurement began."""

    machine: str
    time_ns: int  # event time of the first sample, ns since 1970 in the source's time base
    samples: Mapping[str, FloatArray]  # by channel name, physical units; a channel without samples is absent
    quality: Quality = Quality.GOOD
    faulty: frozenset[str] = frozenset()  # the channels that a SENSOR_FAULT is about; empty: not known which

    def quality_of(self, channel: str) -> Quality:
        """What is doubtful about one channel: the window's quality, less a sensor fault that is another channel's."""
        if self.faulty and channel not in self.faulty:
            return self.quality & ~Quality.SENSOR_FAULT
        return self.quality


@dataclass(frozen=True, slots=True)
class Schema:
    """Named columns of float32 values."""

    columns: tuple[str, ...]
    units: tuple[str, ...]
    id: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", schema_id(self.columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row on its way to the cloud, not yet numbered."""

    kind: Kind
    machine: str
    channel: str  # empty: the machine as a whole
    time_ns: int
    values: NDArray[np.float32] | NDArray[np.int16] | NDArray[np.uint8]
    schema: Schema | None = None  # None where values have no names (spectrum, waveform)
    quality: Quality = Quality.GOOD
    step: float = 0.0  # seconds between samples (waveform), Hz between lines (spectrum)
    scale: float = 1.0  # physical units per count of int16 values
    source: str = ""


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """The features of one channel in one window; what cannot be computed for the channel is not in its schema."""

    channel: str
    kind: Kind  # FEATURES of a waveform, SCALARS of a slow channel
    schema: Schema
    values: FloatArray
    quality: Quality = Quality.GOOD  # Window.quality_of the channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a model says of a machine at one time."""

    bundle: str
    degradation: float  # 0 as new .. 1 failed
    rul_s: tuple[float, float, float] | None  # p05, p50, p95; None is "no estimate"
    reason: str = ""  # why there is no estimate
    population_s: tuple[float, float, float] | None = None  # without a trend: what machines that show as little had
    faults: Mapping[str, float] = field(default_factory=dict)  # probability by class, where the model tells faults


SENSOR = "sensor"  # the part of an alarm that is about a sensor, not about the machine


class AlarmChange(enum.IntEnum):
    """ISA-18.2: an alarm that returns to normal is a change of the same alarm."""

    RAISED = 1
    WORSENED = 2
    RETURNED_TO_NORMAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One figure that speaks for an alarm, beside what it is compared with."""

    feature: str
    channel: str
    unit: str
    value: float
    baseline: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A decision of the device about one machine, as the crew will read it."""

    key: str  # the same for all changes of one alarm, unique within the device
    change: AlarmChange
    machine: str
    channel: str
    time_ns: int
    severity: str  # zones of ISO 20816: A B C D
    confidence: str  # unsure | quite_sure | sure
    part: str  # catalogue key: bearing, shaft, machine, sensor
    fault: str  # catalogue key: outer_race, unbalance, degradation, ...
    source: str  # `baseline` or the bundle's name
    score: float
    threshold: float
    remaining_life_s: tuple[float, float, float] | None = None
    no_estimate_reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    quality: int = 0  # flags of Quality: of the window that changed it
