"""Severity zones come from a file that names its standard, and stand beside an alarm where a velocity exists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.detection.zones import ZoneEvidence
from edge.types import Alarm, AlarmChange, FeatureRow, Kind, Quality, Schema
from models.errors import ConfigurationError
from models.zones import load_zones

GROUP = "iso20816-3-group2-rigid"


def row(velocity: float, quality: Quality = Quality.GOOD) -> FeatureRow:
    schema = Schema(("rms@1", "velocity_rms@1"), ("g", "mm/s"))
    return FeatureRow("horizontal", Kind.FEATURES, schema, np.array([1.0, velocity], np.float32), quality)


def alarm(part: str = "machine", change: AlarmChange = AlarmChange.RAISED) -> Alarm:
    return Alarm(
        key="k",
        change=change,
        machine="m",
        channel="",
        time_ns=0,
        severity="C",
        confidence="sure",
        part=part,
        fault="degradation",
        source="baseline",
        score=1.0,
        threshold=1.0,
    )


@pytest.mark.parametrize(
    ("velocity", "zone"), [(0.0, "A"), (1.4, "A"), (1.5, "B"), (2.8, "B"), (2.9, "C"), (4.5, "C"), (4.6, "D")]
)
def test_a_velocity_falls_into_the_zone_of_its_group(velocity: float, zone: str) -> None:
    assert load_zones()[GROUP].zone(velocity) == zone


def test_every_group_names_its_part_and_edition() -> None:
    for limits in load_zones().values():
        assert limits.part.startswith("ISO ")
        assert limits.edition.isdigit()


@pytest.mark.parametrize("limits", ["[1, 2]", "[2, 1, 3]", "[0, 1, 2]", '["a", 1, 2]', "3"])
def test_limits_that_are_no_zones_are_refused_by_name(tmp_path: Path, limits: str) -> None:
    file = tmp_path / "zones.toml"
    words = 'part = "p"\nedition = "1"\nmachines = "x"\nsupport = "rigid"\n'
    file.write_text(f"[mine]\n{words}limits_mm_s = {limits}\n")
    with pytest.raises(ConfigurationError, match="mine"):
        load_zones(file)


def test_an_alarm_carries_a_velocity_in_zone_c_or_d_beside_the_limit_it_passed() -> None:
    zones = ZoneEvidence(load_zones()[GROUP])
    assert zones.add([row(2.0)], [alarm()])[0].evidence == ()
    zones.add([row(5.0)], [])
    (said,) = zones.add([], [alarm()])
    (figure,) = said.evidence
    assert (figure.feature, figure.value, figure.limit, figure.unit) == ("velocity_rms@1", 5.0, 4.5, "mm/s")
    assert zones.add([], [alarm("sensor")])[0].evidence == ()
    assert zones.add([], [alarm(change=AlarmChange.RETURNED_TO_NORMAL)])[0].evidence == ()
    assert zones.add([row(9.0, Quality.SENSOR_FAULT)], [alarm()])[0].evidence == ()
    assert ZoneEvidence(None).add([row(9.0)], [alarm()])[0].evidence == ()
