"""Physics and model together say what is broken."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge.detection.bearing_part import decide, of_rows
from edge.detection.fault import CLASSES, NORMAL, weigh
from edge.features.envelope_diagnosis import HARMONICS, FoundLine
from edge.types import FeatureRow, Kind, Schema
from models.features import DIAGNOSED
from models.networks.faults import FAULTS

OUTER = {"normal": 0.0, "outer_race": 0.9, "inner_race": 0.05, "ball": 0.05}
HEALTHY = {"normal": 0.9, "outer_race": 0.1, "inner_race": 0.0, "ball": 0.0}
UNSURE = {"normal": 0.4, "outer_race": 0.2, "inner_race": 0.2, "ball": 0.2}


def verdict(*prominences: float):
    return decide({"v": [FoundLine(n, math.nan, math.nan, p) for n, p in zip(HARMONICS, prominences, strict=True)]})


def test_the_classes_of_device_and_training_are_the_same():
    assert CLASSES == FAULTS


@pytest.mark.parametrize("model", [{}, OUTER, HEALTHY, UNSURE])
def test_what_physics_names_no_model_overrules(model):
    told = weigh(verdict(0.1, 2.5, 0.2), model)
    assert (told.fault, told.by_model) == ("inner_race", False)
    assert max(told.scores, key=told.scores.__getitem__) == "inner_race"


@pytest.mark.parametrize(
    ("prominences", "model", "fault"),
    [
        ((0.9, 0.1, 0.0), OUTER, "outer_race"),  # a line too faint for physics alone
        ((0.1, 0.1, 0.0), HEALTHY, NORMAL),
        ((0.1, 0.1, 0.0), {}, NORMAL),  # nothing stands out
        ((0.9, 0.1, 0.0), {}, None),  # something does, not enough
        ((0.9, 0.1, 0.0), UNSURE, None),
        ((0.1, 0.1, 0.0), UNSURE, NORMAL),
    ],
)
def test_where_physics_names_nothing_a_model_may_and_else_quiet_lines_are_normal(prominences, model, fault):
    told = weigh(verdict(*prominences), model)
    assert told.fault == fault
    assert told.part == (None if fault == NORMAL else fault)
    assert sum(told.scores.values()) == pytest.approx(1.0)


def test_without_samples_enough_and_without_a_model_nothing_is_told():
    assert weigh(of_rows([]), {}).fault is None


def test_rows_with_lines_lead_to_the_verdict_of_the_lines():
    columns = tuple(s.id for s in DIAGNOSED)
    values = np.zeros(len(columns), np.float32)
    values[columns.index("prominence_bsf@1")] = 2.5
    row = FeatureRow("v", Kind.FEATURES, Schema(columns, ("1",) * len(columns)), values)
    assert of_rows([row]).fault == "ball"
    values[columns.index("rival_bsf@1")] = 2.0
    assert of_rows([row]).reason == "other_rate"
