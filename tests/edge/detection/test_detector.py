from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.detection import DetectionConfig, Detector
from edge.types import AlarmChange, Assessment, FeatureRow, Kind
from models.manifest import Thresholds

from .conftest import SCHEMA, Fleet

RAISED, WORSENED, RETURNED = AlarmChange.RAISED, AlarmChange.WORSENED, AlarmChange.RETURNED_TO_NORMAL
LIMITS = Thresholds(warn=0.5, act=0.8, deadband=0.1, on_delay_windows=3, off_delay_windows=5)


def said(degradation: float) -> Assessment:
    return Assessment(bundle="bearing-3", degradation=degradation, rul_s=(10.0, 20.0, 30.0))


def test_a_machine_that_grows_louder_everywhere_is_raised_once_worsens_once_and_returns(fleet, changes):
    steps = fleet.run(fleet.detector(), [1.0] * 20 + [2.0] * 40 + [4.0] * 40 + [1.0] * 80)
    told = changes(steps)
    assert [(a.change, a.severity) for _, a in told] == [(RAISED, "C"), (WORSENED, "D"), (RETURNED, "A")]
    assert len({a.key for _, a in told}) == 1
    assert 25 <= told[0][0] < 35
    assert (told[0][1].source, told[0][1].part, told[0][1].fault) == ("baseline", "machine", "degradation")
    assert told[0][1].no_estimate_reason == "no_model"
    assert told[0][1].score >= told[0][1].threshold == fleet.detector().limit


def test_the_evidence_names_what_deviates_most_in_its_own_unit(fleet, changes):
    (_, alarm), *_ = changes(fleet.run(fleet.detector(), [1.0] * 20 + [2.0 * fleet.only(["rms@1"], 1.5)] * 20))
    by_name = {(e.channel, e.feature): e for e in alarm.evidence}
    found = alarm.evidence[0]
    assert found.feature == "rms@1"
    ratios = [round(e.value / e.baseline, 6) for e in alarm.evidence]
    assert ratios == sorted(ratios, reverse=True)
    assert found.baseline < found.limit < found.value
    for e in by_name.values():
        healthy = dict(zip(SCHEMA.columns, fleet.rows(1.0)[0].values.tolist(), strict=True))[e.feature]
        assert e.baseline == pytest.approx(healthy, rel=1e-5)
        assert e.unit == dict(zip(SCHEMA.columns, SCHEMA.units, strict=True))[e.feature]


def test_run_in_is_no_fault(fleet, changes):
    """A machine that is loud at its start and calms down to a third is not in trouble."""
    calming = list(np.geomspace(1.0, 0.3, 200))
    assert changes(fleet.run(fleet.detector(), calming + [0.3] * 200)) == []


def test_a_band_that_moves_alone_is_no_fault_but_a_low_band_from_the_best_to_the_worst_zone_is(fleet, changes):
    one_band = fleet.only(["band1_rms@1", "rms@1", "envelope_rms@1"], 3.0)
    assert changes(fleet.run(fleet.detector(), [1.0] * 20 + [one_band] * 100)) == []
    unbalance = fleet.only(["band5_rms@1"], 8.0)
    assert [a.change for _, a in changes(fleet.run(fleet.detector(), [1.0] * 20 + [unbalance] * 100))] == [RAISED]


def test_agreement_and_level_raise_together_what_neither_raises_alone(fleet, changes):
    """Looseness: everything is half as loud again, the low band four to five times."""
    rougher = np.full(len(SCHEMA.columns), 1.5)
    low_band = fleet.only(["band5_rms@1"], 5.0)
    for alone in (rougher, low_band):
        assert changes(fleet.run(fleet.detector(), [1.0] * 20 + [alone] * 100)) == []
    both = np.maximum(rougher, low_band)
    assert [a.change for _, a in changes(fleet.run(fleet.detector(), [1.0] * 20 + [both] * 100))] == [RAISED]


@pytest.mark.parametrize(
    ("line", "fault"),
    [("envelope_bpfo@1", "outer_race"), ("envelope_bpfi@1", "inner_race"), ("envelope_bsf@1", "ball")],
)
def test_a_line_of_the_envelope_that_leads_clearly_names_the_bearing_part(fleet, changes, line, fault):
    damaged = 2.0 * fleet.only([line], 4.0) / fleet.only(["envelope_bpfo@1", "envelope_bpfi@1", "envelope_bsf@1"], 2.0)
    (_, alarm), *_ = changes(fleet.run(fleet.detector(), [1.0] * 20 + [damaged] * 20))
    assert (alarm.part, alarm.fault, alarm.confidence) == ("bearing", fault, "quite_sure")


def test_a_few_absurd_windows_raise_nothing(fleet, changes):
    assert changes(fleet.run(fleet.detector(), [1.0] * 20 + [1e6] + [1.0] * 60)) == []
    steps = fleet.run(fleet.detector(), [1.0] * 20 + [1e6] * 3 + [1.0] * 60)
    assert max(d for d, _ in steps) > fleet.detector().limit
    assert changes(steps) == []


def test_a_model_adds_a_condition_of_its_own(fleet):
    detector = fleet.detector()
    told = [
        a
        for i in range(60)
        for a in detector.update(fleet.window(i), fleet.rows(1.0), said(0.1 if i < 40 else 0.6), LIMITS)[1]
    ]
    (alarm,) = told
    assert (alarm.source, alarm.severity, alarm.score, alarm.threshold) == ("bearing-3", "C", 0.6, 0.5)
    assert alarm.remaining_life_s == (10.0, 20.0, 30.0)
    assert alarm.evidence[0].feature == "degradation@1"


def test_when_both_conditions_hold_the_machine_has_one_alarm(fleet):
    detector = fleet.detector()
    told = []
    for i in range(160):
        factor, degradation = (1.0, 0.1) if i < 20 or i >= 80 else (2.0, 0.1 if i < 50 else 0.9)
        told += detector.update(fleet.window(i), fleet.rows(factor), said(degradation), LIMITS)[1]
    assert [(a.change, a.source, a.confidence) for a in told] == [
        (RAISED, "baseline", "unsure"),
        (WORSENED, "bearing-3", "sure"),
        (RETURNED, "bearing-3", "unsure"),
    ]
    assert len({a.key for a in told}) == 1


def test_a_machine_whose_model_is_taken_away_is_judged_by_its_baseline_alone(fleet):
    detector = fleet.detector()
    for i in range(20):
        detector.update(fleet.window(i), fleet.rows(1.0), said(0.9), LIMITS)
    _, (alarm,) = detector.update(fleet.window(20), fleet.rows(1.0), None, None)
    assert alarm.change is RETURNED


def test_a_window_that_the_model_cannot_judge_keeps_its_alarm(fleet):
    detector = fleet.detector()
    told = []
    for i in range(60):
        told += detector.update(fleet.window(i), fleet.rows(1.0), said(0.9) if i < 20 else None, LIMITS)[1]
    assert [a.change for a in told] == [RAISED]


def test_an_acknowledged_alarm_that_comes_back_is_a_new_one(fleet, changes):
    detector = fleet.detector()
    (_, first), _ = changes(fleet.run(detector, [1.0] * 20 + [2.0] * 20 + [1.0] * 60))
    assert detector.acknowledge(first.key)
    assert not detector.acknowledge("P-101/other-1")
    (_, second), *_ = changes(fleet.run(detector, [2.0] * 20, first=100))
    assert second.key != first.key


def test_after_a_repair_the_machine_learns_anew_and_its_alarm_closes(fleet, changes):
    detector = fleet.detector()
    (_, first), *_ = changes(fleet.run(detector, [1.0] * 20 + [2.0] * 20))
    detector.new_baseline()
    told = changes(fleet.run(detector, [2.0] * 60, first=40))
    assert [(i, a.change, a.key) for i, a in told] == [(0, RETURNED, first.key)]
    (_, second), *_ = changes(fleet.run(detector, [4.0] * 20, first=100))
    assert second.key != first.key


def test_a_channel_that_arrives_late_learns_its_own_start(fleet, changes):
    detector = fleet.detector()
    for i in range(40):
        detector.update(fleet.window(i), fleet.rows(1.0, "h"))
    late = [detector.update(fleet.window(40 + i), [*fleet.rows(1.0, "h"), *fleet.rows(9.0, "v")]) for i in range(60)]
    assert changes(late) == []
    assert max(d for d, _ in late) < 1.0


def test_values_that_are_not_finite_say_nothing(fleet):
    broken = fleet.rows(1.0)[0].values.copy()
    broken[3] = np.nan
    plain, hurt = fleet.detector(), fleet.detector()
    for i in range(30):
        hurt.update(fleet.window(i), [FeatureRow(c, Kind.FEATURES, SCHEMA, broken) for c in "hv"])
        expected = plain.update(fleet.window(i), fleet.rows(2.0 if i > 20 else 1.0))[0]
        found = hurt.update(fleet.window(i), fleet.rows(2.0 if i > 20 else 1.0))[0]
        assert found == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.5, 1.0, 1.0, 2.0, 5.0]), min_size=20, max_size=90), st.integers(0, 89))
def test_a_restart_at_any_window_changes_nothing(factors, at):
    fleet = Fleet()
    detector = fleet.detector(on_delay_windows=2, off_delay_windows=3)
    restarted = Detector(fleet.machine, detector.config)
    restarted.load(detector.dump())  # the same life, so the same keys
    whole = fleet.run(detector, [1.0] * 3 + factors)
    before = fleet.run(restarted, ([1.0] * 3 + factors)[:at])
    woken = Detector(fleet.machine, detector.config)
    woken.load(restarted.dump())
    after = fleet.run(woken, ([1.0] * 3 + factors)[at:], first=at)
    assert before + after == whole
    assert woken.dump() == detector.dump()


def test_a_restart_keeps_in_mind_who_spoke(fleet):
    """The return of an alarm that the model raised is told by the model, also after a restart in between."""
    detector = fleet.detector()
    for i in range(20):
        detector.update(fleet.window(i), fleet.rows(1.0), said(0.9), LIMITS)
    woken = fleet.detector()
    woken.load(detector.dump())
    told = [a for i in range(20, 40) for a in woken.update(fleet.window(i), fleet.rows(1.0), said(0.1), LIMITS)[1]]
    assert [(a.change, a.source) for a in told] == [(RETURNED, "bearing-3")]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.2, 6.0), min_size=20, max_size=80), st.integers(0, 79))
def test_a_stream_that_is_cut_says_the_same_up_to_the_cut(factors, at):
    fleet = Fleet()
    one, other = fleet.detector(on_delay_windows=2), fleet.detector(on_delay_windows=2)
    other.load(one.dump())
    assert fleet.run(one, factors)[:at] == fleet.run(other, factors[:at])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([1.0, 1.6, 2.0, 3.0, 6.0]), min_size=10, max_size=150))
def test_a_machine_has_at_most_one_open_alarm_whatever_it_does(factors):
    fleet = Fleet()
    steps = fleet.run(fleet.detector(on_delay_windows=2, off_delay_windows=3), [1.0] * 6 + factors)
    told = [a for _, alarms in steps for a in alarms]
    state = [a.change for a in told]
    for before, after in zip([RETURNED, *state], state, strict=False):
        assert (before is RETURNED) == (after is RAISED)
    assert len({a.key for a in told}) <= 1


def test_white_noise_raises_no_alarm():
    """100 machines for an hour each; at the default budget of one a machine-year 0.01 alarms are expected."""
    fleet = Fleet()
    random = np.random.default_rng(20)
    told = 0
    # the scatter of the features of white noise in windows of 2560 samples, with a half that they share
    scatter = np.array([0.014, 0.09, 0.09, 0.03, 0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.06, 0.01, 0.03, 0.2, 0.2, 0.2])
    for _ in range(100):
        detector = Detector(fleet.machine)
        noise = random.standard_normal((360, 2, 16)) + random.standard_normal((360, 1, 1))
        for i, factors in enumerate(np.exp(noise * scatter)):
            rows = [*fleet.rows(factors[0], "h"), *fleet.rows(factors[1], "v")]
            told += len(detector.update(fleet.window(i), rows)[1])
    assert told == 0


def test_a_larger_budget_lowers_the_limit_and_a_denser_schedule_raises_it():
    default = DetectionConfig()
    assert DetectionConfig(false_alarms_per_year=20).limit(2) < default.limit(2)
    assert DetectionConfig(every_s=1.0).limit(2) > default.limit(2)
    assert default.limit(8) > default.limit(1)
    # a standard normal above it once in 3.15 million windows
    assert default.limit(1) == pytest.approx(4.98, abs=0.01)


@pytest.mark.parametrize("wrong", [{"baseline_windows": 0}, {"false_alarms_per_year": 0.0}, {"deadband": 1.0}])
def test_a_setting_that_makes_no_detector_is_refused(wrong):
    with pytest.raises(ValueError, match=r"must be|from 1"):
        DetectionConfig(**wrong)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, DetectionConfig)


def test_what_another_device_learned_is_taken_over_and_its_open_alarm_is_raised_again_under_its_key(fleet, changes):
    """Until then that device may have raised others under the next keys of its own: those here are new."""
    old, new = fleet.detector(), fleet.detector()
    ((_, open_alarm),) = changes(fleet.run(old, [1.0] * 20 + [2.0] * 40))
    assert not new.learned
    new.take_over(old.dump())
    assert new.learned
    told = changes(fleet.run(new, [2.0] * 5 + [1.0] * 80 + [2.0] * 40))
    assert [a.change for _, a in told] == [RAISED, RETURNED, RAISED]
    assert told[0][0] == 0
    assert told[0][1].key == told[1][1].key == told[2][1].key == open_alarm.key
    new.acknowledge(open_alarm.key)
    old.acknowledge(open_alarm.key)
    again, meanwhile = (changes(fleet.run(d, [1.0] * 80 + [2.0] * 40))[-1][1].key for d in (new, old))
    assert len({open_alarm.key, again, meanwhile}) == 3


def test_an_alarm_that_was_over_stays_over_for_the_device_that_takes_over(fleet, changes):
    old, new = fleet.detector(), fleet.detector()
    told = changes(fleet.run(old, [1.0] * 20 + [2.0] * 40 + [1.0] * 80))
    new.take_over(old.dump())
    assert changes(fleet.run(new, [1.0] * 20)) == []
    ((_, fresh),) = changes(fleet.run(new, [2.0] * 40))
    assert fresh.key != told[0][1].key


def test_what_is_wrong_with_a_devices_own_sensors_is_not_taken_over_from_another(fleet):
    old, new = fleet.detector(), fleet.detector()
    fleet.run(old, [1.0] * 20)
    mine = new._watch.state()["latches"]
    mine[next(iter(mine))].key = "of this device's own sensor"
    new.take_over(old.dump())
    assert "of this device's own sensor" in {latch.key for latch in new._watch.state()["latches"].values()}


def test_what_is_restored_leaves_nothing_of_what_was_there_before(fleet):
    """A copy that is taken back after its second part was not understood."""
    detector, before = fleet.detector(), fleet.detector().dump()
    learned = msgspec.json.decode(before)
    learned["limits"]["tail"] = {"threshold": 1.0, "excess": 1.0, "peaks": 16, "a_year": 800.0}
    detector.load(msgspec.json.encode(learned))
    assert detector.limit < fleet.detector().limit
    detector.load(before)
    assert detector.limit == fleet.detector().limit
    assert detector.dump().partition(b'"latch"')[0] == before.partition(b'"latch"')[0]
