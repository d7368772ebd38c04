"""The settings of an anomaly training: all of them enter the model's lineage."""

from __future__ import annotations

import msgspec

from models.departures import DeparturesConfig


class AnomalyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is learned, and what alarms may cost."""

    view: DeparturesConfig = DeparturesConfig()
    false_alarms: float = 1 / 5000  # a healthy window and machine, where nothing is marked
    least_limit: float = 5.0  # wanderings; white noise of 1,000 windows reaches it in less than 1 % of the machines
    false_share: float = 0.1  # of the healthy windows of a machine never seen, where faults are marked
    learn_marks: bool = False  # every faulty window is marked; else a stretch of marks only says where a fault lies
    fault_hours: float = 24.0  # before a failure: a fault lies there
    ridge: float = 0.05  # per marked window
    every: int = 4  # marked windows of which one is learned from: neighbours say nearly the same
    fewest_marked: int = 3  # machines with marked faults below which day zero stays
    raise_windows: int = 1  # in a row at the limit that raise day zero's alarm
    clear_windows: int = 10  # in a row clearly below the limit, after which it is over
    clear_share: float = 0.15  # of the score, that counts as clearly
