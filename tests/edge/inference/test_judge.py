from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.inference import Judge
from edge.types import FeatureRow, Kind, Quality, Schema
from models.history import History, HistoryConfig

from .conftest import FEATURES, HEALTHY, MACHINE, SCHEMA, make_bundle, make_rows

LOUDER = math.exp(0.8)  # a deviation of 0.8 in each amplitude


def feed(judge, factors, first=0):
    return [judge.update((first + i) * 10.0, make_rows(f)) for i, f in enumerate(factors)]


def test_while_the_healthy_start_is_learned_there_is_no_estimate_and_the_reason_is_said(bundle, machine):
    said = feed(Judge(machine, bundle()), [1.0] * 31)
    assert {(a.degradation, a.rul_s, a.reason) for a in said[:29]} == {(0.0, None, "too_little_history")}
    assert said[30].rul_s == (3600.0, 7200.0, 14_400.0)
    assert said[30].reason == ""
    assert said[30].bundle == "pump-1"


def test_a_machine_that_leaves_its_start_degrades(bundle, machine):
    said = feed(Judge(machine, bundle()), [1.0] * 30 + [LOUDER] * 100)
    assert said[-1].degradation == pytest.approx(0.4, abs=1e-3)
    assert said[-1].rul_s == pytest.approx((720.0, 4320.0, 11_520.0), abs=5.0)


def test_without_a_bundle_there_is_no_assessment_and_a_later_one_finds_the_machines_own_start(bundle, machine):
    """The machine is already louder when the model arrives: its start was when nobody judged it."""
    alone = Judge(machine)
    assert set(feed(alone, [1.0] * 40 + [LOUDER] * 60)) == {None}
    late = Judge(machine, bundle())
    late.load(alone.dump())
    always = Judge(machine, bundle())
    feed(always, [1.0] * 40 + [LOUDER] * 60)
    assert feed(late, [LOUDER] * 5, first=100) == feed(always, [LOUDER] * 5, first=100)


def test_what_a_model_had_learned_of_its_own_waits_for_it_where_it_is_not_yet_there(bundle, machine):
    """A device that replaces another knows its machines before it has their models."""
    model = bundle("v2", config=HistoryConfig(baseline_windows=20, fast_windows=4.0, slow_windows=20.0))
    always = Judge(machine, model)
    feed(always, [1.0] * 40 + [LOUDER] * 20)
    alone = Judge(machine)
    alone.load(always.dump())
    restarted = Judge(machine)
    restarted.load(alone.dump())
    late = Judge(machine, model)
    late.load(restarted.dump())
    assert feed(late, [LOUDER] * 5, first=60) == feed(always, [LOUDER] * 5, first=60)
    alone.new_baseline()
    late.load(alone.dump())
    assert not late.learned


@pytest.mark.parametrize("look_at", ["rms@1:fast", "peak@1:slow", "rms@1:trend", "log_age_h"])
def test_a_model_of_fewer_features_sees_what_training_showed_it(bundle, machine, look_at):
    few = ("peak@1", "rms@1")
    model = bundle("few", few, look_at=look_at, quantiles=(1e6, 2e6, 3e6))
    alone, training = Judge(machine), History(few)
    feed(alone, [1.0] * 20 + [1.1] * 40)
    late = Judge(machine, model)
    late.load(alone.dump())
    said = feed(late, [LOUDER] * 5, first=60)
    for i, factor in enumerate([1.0] * 20 + [1.1] * 40 + [LOUDER] * 5):
        values = HEALTHY[[1, 0]] * np.float32(factor)
        condition = training.update(10.0 * i, {"h": values, "v": values})
        if i >= 60:
            expected = model.infer(condition[None]).rul_s[0].tolist()
            assert said[i - 60].rul_s == pytest.approx(expected, rel=1e-6)


def test_a_model_with_another_history_takes_over_the_start_and_its_averages_become_its_own(bundle, machine):
    config = HistoryConfig(baseline_windows=20, fast_windows=4.0, slow_windows=20.0)
    before, always = Judge(machine, bundle("v1")), Judge(machine, bundle("v2", config=config))
    for judge in (before, always):
        feed(judge, [1.0] * 40 + [LOUDER] * 10)
    switched = Judge(machine, bundle("v2", config=config))
    switched.load(before.dump())
    assert feed(switched, [LOUDER], first=50)[0].reason == ""
    settled, expected = (feed(j, [LOUDER] * 60, first=51)[-1] for j in (switched, always))
    assert settled.degradation == pytest.approx(expected.degradation, abs=1e-4)


def test_a_model_of_features_that_nobody_kept_learns_from_its_arrival(bundle, machine):
    schema = Schema(("velocity_rms@1",), ("mm/s",))
    old = Judge(machine)
    feed(old, [1.0] * 50)
    new = Judge(machine, bundle("velocity", schema.columns))
    new.load(old.dump())
    said = [new.update(500.0 + i, make_rows(1.0, schema=schema)) for i in range(31)]
    assert said[0].reason == "too_little_history"
    assert said[-1].rul_s is not None


def test_a_machine_without_the_models_features_has_no_assessment(bundle, machine):
    judge = Judge(machine, bundle())
    slow = FeatureRow("t", Kind.SCALARS, Schema(("level@1", "rate@1"), ("C", "C/min")), np.ones(2, np.float32))
    assert judge.update(0.0, []) is None
    assert judge.update(0.0, [slow]) is None
    assert judge.update(0.0, make_rows(1.0, schema=Schema(FEATURES[:5], ("",) * 5))) is None


def test_quantiles_are_in_order_and_not_negative_and_a_degradation_is_from_0_to_1(bundle, machine):
    judge = Judge(machine, bundle(gain=9.0, quantiles=(5000.0, -100.0, 3000.0)))
    said = feed(judge, [1.0] * 30 + [LOUDER] * 50)
    assert said[30].rul_s == (0.0, 3000.0, 5000.0) or said[30].rul_s[0] == 0.0
    assert all(list(a.rul_s) == sorted(a.rul_s) and a.rul_s[0] >= 0 for a in said[30:])
    assert said[-1].degradation == 1.0
    assert feed(judge, [0.1] * 50, first=80)[-1].degradation == 0.0


def test_values_that_are_not_finite_get_no_estimate_and_leave_no_trace(bundle, machine):
    values = HEALTHY.copy()
    values[3] = np.nan
    broken = [FeatureRow(c, Kind.FEATURES, SCHEMA, values) for c in "hv"]
    hurt, plain = Judge(machine, bundle()), Judge(machine, bundle())
    feed(hurt, [1.0] * 30 + [LOUDER] * 50)
    feed(plain, [1.0] * 30 + [LOUDER] * 50)
    said = hurt.update(800.0, broken)
    assert (said.rul_s, said.reason) == (None, "not_finite")
    assert said.degradation > 0.3, "the last one that was known"
    assert feed(hurt, [LOUDER] * 3, first=81) == feed(plain, [LOUDER] * 3, first=81)


def test_a_model_that_answers_nonsense_gets_no_estimate(bundle, machine):
    said = feed(Judge(machine, bundle(quantiles=(1.0, float("nan"), 2.0))), [1.0] * 31)
    assert (said[-1].rul_s, said[-1].reason) == (None, "not_finite")


def test_a_faulty_sensor_is_left_out(bundle, machine):
    judge, plain = Judge(machine, bundle()), Judge(machine, bundle())
    feed(judge, [1.0] * 40)
    feed(plain, [1.0] * 40)
    for i in range(40, 60):
        found = judge.update(i, [*make_rows(1.0, "h"), *make_rows(1e-9, "v", quality=Quality.SENSOR_FAULT)])
        assert found == plain.update(i, make_rows(1.0, "h"))


def test_the_last_known_degradation_survives_a_restart_but_not_another_model(bundle, machine):
    judge = Judge(machine, bundle())
    feed(judge, [1.0] * 30 + [LOUDER] * 50)
    broken = [FeatureRow("h", Kind.FEATURES, SCHEMA, HEALTHY * np.float32(np.nan))]
    for name, expected in (("pump-1", judge.update(800.0, broken).degradation), ("pump-2", 0.0)):
        woken = Judge(machine, bundle(name))
        woken.load(judge.dump())
        assert woken.update(810.0, broken).degradation == expected
    assert judge.update(800.0, broken).degradation > 0.3


def test_after_a_repair_history_and_age_begin_anew(bundle, machine):
    judge = Judge(machine, bundle())
    feed(judge, [1.0] * 30 + [LOUDER] * 50)
    judge.new_baseline()
    again = feed(judge, [LOUDER] * 31, first=80)
    assert again[0].reason == "too_little_history"
    assert again[-1].degradation == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 79), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_restart_at_any_window_changes_nothing(at, other_history, seed):
    config = HistoryConfig(baseline_windows=12, fast_windows=3.0) if other_history else HistoryConfig()
    model = make_bundle(config=config)
    factors = np.exp(0.3 * np.random.default_rng(seed).standard_normal(80)).tolist()
    whole, before = Judge(MACHINE, model), Judge(MACHINE, model)
    expected = feed(whole, factors)
    first = feed(before, factors[:at])
    after = Judge(MACHINE, model)
    after.load(before.dump())
    assert first + feed(after, factors[at:], first=at) == expected
    assert after.dump() == whole.dump()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 79), st.integers(0, 2**32 - 1))
def test_a_stream_that_is_cut_says_the_same_up_to_the_cut(at, seed):
    model = make_bundle()
    factors = np.exp(0.3 * np.random.default_rng(seed).standard_normal(80)).tolist()
    assert feed(Judge(MACHINE, model), factors)[:at] == feed(Judge(MACHINE, model), factors[:at])


def test_a_model_that_only_tells_faults_gives_them_by_name_and_no_time(bundle, machine):
    model = bundle("faults", faults=(0.7, 0.2, 0.1))
    judge = Judge(machine, model)
    said = feed(judge, [1.0] * 31)[-1]
    assert (said.rul_s, said.reason) == (None, "not_its_task")
    assert said.faults == pytest.approx({"normal": 0.7, "inner": 0.2, "outer": 0.1})


def test_a_machine_that_shows_no_trend_gets_no_time_and_the_reason_is_said(bundle, machine):
    judge = Judge(machine, bundle(trend=True))
    said = feed(judge, [1.0] * 30 + [LOUDER] * 2)  # the fast average rises to 0.08, then to 0.152
    assert [(a.reason, a.rul_s is None) for a in said[29:]] == [("no_trend", True), ("no_trend", True), ("", False)]
    assert said[30].degradation > 0.0
    assert [a.population_s is None for a in said[29:]] == [False, False, True]
    again = feed(judge, [1.0] * 12, first=32)[-1]
    assert (again.reason, again.rul_s) == ("no_trend", None)
